"""What is gathered while one operation is compiled: bind arguments, aliases, and the document that is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graphql import FragmentSpreadNode, InlineFragmentNode

from flowstead_server.compiler.limits import Limits, limit_error
from flowstead_server.compiler.values import MISSING, bindable, cast, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from uuid import UUID

    from graphql import FieldNode, FragmentDefinitionNode, SelectionNode, SelectionSetNode

    from flowstead_server.compiler.catalog import Scalar


# the protocol of PostgreSQL ends at 32,767
_MOST_ARGUMENTS = 32_000


@dataclass(frozen=True, slots=True)
class Cut:
    """A list at a path of response keys, and the number of rows after which the server's own limit ends it."""

    path: tuple[str, ...]
    rows: int


@dataclass(slots=True)
class Context:
    """One compilation. The first bind argument is always the caller's tenant (see `scope`)."""

    tenant_id: UUID
    fragments: Mapping[str, FragmentDefinitionNode]
    variables: Mapping[str, Any]
    limits: Limits = field(default_factory=Limits)
    arguments: list[Any] = field(init=False)
    path: list[str] = field(default_factory=list)
    """Response keys from the root to the field that is being compiled."""
    cuts: list[Cut] = field(default_factory=list)
    """Lists that the server's own limit may cut; the answer marks those that were with their index here."""
    _cost: int = 0
    _aliases: int = 0
    _fields: int = 0

    def __post_init__(self) -> None:
        self.arguments = [self.tenant_id]

    def alias(self) -> str:
        """A table alias that nothing else in the statement has.

        Raises:
            LimitError: the statement reads tables at too many places.
        """
        self._aliases += 1
        self.limits.check("tables", self._aliases)
        return f"t{self._aliases}"

    def bind(self, scalar: Scalar, value: Any) -> str:
        """Add one bind argument; returns the SQL that stands for it.

        Raises:
            CompileError: the value means nothing for this scalar.
        """
        self._append(bindable(scalar, value))
        return f"${len(self.arguments)}{cast(scalar)}"

    def bind_all(self, scalar: Scalar, values: Iterable[Any]) -> str:
        """Add one bind argument that is an array; returns the SQL that stands for it.

        Raises:
            CompileError: one of the values means nothing for this scalar.
        """
        self._append([bindable(scalar, value) for value in values])
        return f"${len(self.arguments)}{cast(scalar, '[]')}"

    def _append(self, argument: Any) -> None:
        if len(self.arguments) >= _MOST_ARGUMENTS:
            raise limit_error("values", _MOST_ARGUMENTS)
        self.arguments.append(argument)

    def cut_here(self, rows: int) -> int:
        """Note that the list that is being compiled may be cut after so many rows; returns the index of the note."""
        self.cuts.append(Cut(tuple(self.path), rows))
        return len(self.cuts) - 1

    def charge(self, values: int) -> None:
        """Add to the cost of the operation.

        Raises:
            LimitError: it costs too much.
        """
        self._cost += values
        self.limits.check("cost", self._cost)

    def arguments_of(self, node: FieldNode) -> dict[str, Any]:
        """The arguments of a field by name; those that are null or absent are left out, as both mean the same."""
        read = ((argument.name.value, plain(argument.value, self.variables)) for argument in node.arguments or ())
        return {name: value for name, value in read if value is not None and value is not MISSING}

    def fields(self, selections: Iterable[SelectionSetNode | None]) -> dict[str, list[FieldNode]]:
        """The selected fields by response key in written order, fragments expanded and directives obeyed.

        Raises:
            LimitError: the operation selects too many fields.
        """
        found: dict[str, list[FieldNode]] = {}
        seen: set[str] = set()
        for selection_set in selections:
            if selection_set is not None:
                self._collect(selection_set, found, seen)
        return found

    def _collect(self, selection_set: SelectionSetNode, found: dict[str, list[FieldNode]], seen: set[str]) -> None:
        for selection in selection_set.selections:
            if selection.directives and not self._is_wanted(selection):
                continue
            if isinstance(selection, FragmentSpreadNode):
                name = selection.name.value
                if name not in seen:
                    seen.add(name)
                    self._collect(self.fragments[name].selection_set, found, seen)
            elif isinstance(selection, InlineFragmentNode):
                self._collect(selection.selection_set, found, seen)
            else:
                self._fields += 1
                self.limits.check("fields", self._fields)
                node: FieldNode = selection  # type: ignore[assignment]  # what is no fragment is a field
                key = node.alias.value if node.alias else node.name.value
                found.setdefault(key, []).append(node)

    def _is_wanted(self, selection: SelectionNode) -> bool:
        for directive in selection.directives or ():
            name = directive.name.value
            if name in {"skip", "include"} and directive.arguments:
                condition = plain(directive.arguments[0].value, self.variables)
                if condition is (name == "skip"):
                    return False
        return True
