"""What the generator knows about an operation once GraphQL is out of the way.  Values only."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Member:
    """A field of a result class: the answer's key, the Python name, its type and the expression that parses it."""

    key: str
    name: str
    annotation: str
    parser: str


@dataclass(frozen=True, slots=True)
class ResultClass:
    """A dataclass for one selection set (or one fragment)."""

    name: str
    about: str
    members: tuple[Member, ...]
    uses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Argument:
    """A keyword argument of an operation's function, or a field of an input class."""

    key: str
    name: str
    annotation: str
    optional: bool
    nested: bool
    """True if the value may hold input objects, which have to be turned into plain data."""


@dataclass(frozen=True, slots=True)
class InputClass:
    """A dataclass for an input object type."""

    name: str
    graphql_name: str
    about: str
    fields: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class EnumClass:
    """A string enumeration."""

    name: str
    about: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """A function that builds a request."""

    name: str
    kind: str
    about: str
    document: str
    arguments: tuple[Argument, ...]
    flattened: bool
    """True if the arguments are the members of the one variable `input`."""
    result: str
    parser: str
    uses: tuple[str, ...]


@dataclass(slots=True)
class Module:
    """What one .graphql file becomes."""

    name: str
    classes: list[ResultClass] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)


@dataclass(slots=True)
class Package:
    """The whole output."""

    modules: list[Module] = field(default_factory=list)
    inputs: dict[str, InputClass] = field(default_factory=dict)
    enums: dict[str, EnumClass] = field(default_factory=dict)
