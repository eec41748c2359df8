"""Random GraphQL operations over a schema: mostly valid documents with values that are seldom sensible, some broken.

Everything follows from the seed, so that a failure can be repeated.
"""

import json
import random
from dataclasses import dataclass
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    get_named_type,
)

DEEP: Any = 1
for _ in range(150):
    DEEP = [DEEP]
TEXTS = [
    "",
    "a",
    "a\0b",
    "\ud83d",
    "\ud7ff\uffff\U0010ffff",
    "x" * 3_000,
    "'; drop table flow_run; --",
    '"}) { id } }',
    "%s%n_%",
    "(",
    "[[:alpha:]",
    "{}",
    "null",
    "Running",
    "Ü" * 600,
]
MOMENTS: list[Any] = [
    "2030-01-01T00:00:00",
    "2030-01-01T00:00:00+14:00",
    "0001-01-01",
    "9999-12-31T23:59:59.999999-23:59",
    "infinity",
    "now",
    "4713-01-01 BC",
    "never",
    "",
]
SPANS: list[Any] = ["1 day", "00:00:01", "-1 year", "178000000 years", "soon", ""]
INTEGERS: list[Any] = [0, 1, -1, 2, 100, 2**31 - 1, -(2**31), 2**31, 2**63]
FLOATS: list[Any] = [0.0, -1.5, 1e308, 1e-320]
KINDS = ["Scheduled", "Running", "Success", "Submitted", "Queued", "Paused", "Retrying", "Cancelled", "Nonsense", None]
JSONS: list[Any] = [
    None,
    {},
    [],
    "text",
    0,
    1e308,
    True,
    DEEP,
    {"": None},
    {"a": "\0"},
    ["a", "b"],
    {"labels": ["\0", 1]},
    {"clocks": [{}], "type": "Schedule"},
    {"type": "Schedule", "clocks": [{"type": "CronClock", "cron": "* * * * *"}]},
    {"type": "IntervalClock", "interval": -1},
    {"name": "f", "tasks": [{"slug": "a", "tags": 3}], "edges": [{"upstream_task": 1}]},
    {"name": "f", "tasks": [], "edges": [], "parameters": [], "schedule": None, "storage": {"type": "Local"}},
]
VALUES: dict[str, list[Any]] = {
    "datetime": MOMENTS,
    "timestamptz": MOMENTS,
    "interval": SPANS,
    "int": INTEGERS,
    "float": FLOATS,
    "boolean": [True, False],
}
MOST_DEPTH = 4


@dataclass(frozen=True)
class Sent:
    """One request body, and what is to be shown if it fails."""

    body: bytes
    kind: str


class Operations:
    """Makes operations. `ids` are those of stored rows."""

    def __init__(self, schema: GraphQLSchema, seed: int, ids: list[str]) -> None:
        self._schema = schema
        self._chance = random.Random(seed)
        self._ids = ids
        self._variables: dict[str, tuple[GraphQLInputType, Any]] = {}
        self._fragments: list[str] = []
        self._again = 0
        self._last = ("", "")

    def next(self) -> Sent:
        """Return the next operation.

        A document with variables comes a few times, with other values: to validate it takes longer than all the rest.
        """
        if self._again:
            self._again -= 1
            text, kind = self._last
            variables = {name: _plain(self._value(of, 0)) for name, (of, _) in self._variables.items()}
            return Sent(json.dumps({"query": text, "variables": variables}).encode(), kind)
        self._variables, self._fragments = {}, []
        kind = self._chance.choices(["query", "mutation"], [3, 2])[0]
        root = self._schema.query_type if kind == "query" else self._schema.mutation_type
        assert root is not None
        count = self._chance.choices([1, 2, 3], [8, 2, 1])[0]
        roots = [
            f"r{number}: {self._field(name, field, 0)}" for number, (name, field) in enumerate(self._some(root, count))
        ]
        declared = ", ".join(f"${name}: {of}" for name, (of, _) in self._variables.items())
        text = f"{kind}{f'({declared})' if declared else ''} {{ {' '.join(roots)} }} {' '.join(self._fragments)}"
        self._last = (text, kind)
        self._again = 3 if declared else 0
        variables: Any = {name: value for name, (_, value) in self._variables.items()}
        if self._chance.random() < 0.08:
            text, kind = self._damaged(text), f"damaged {kind}"
        elif self._chance.random() < 0.05:
            variables, kind = self._chance.choice([{}, None, [], 7, "", "{"]), f"{kind} without its variables"
        if self._chance.random() < 0.5:
            variables = json.dumps(variables)
        return Sent(json.dumps({"query": text, "variables": variables}).encode(), kind)

    def _some(self, of: GraphQLObjectType, count: int) -> list[tuple[str, GraphQLField]]:
        return self._chance.sample(list(of.fields.items()), min(count, len(of.fields)))

    def _damaged(self, text: str) -> str:
        at = self._chance.randrange(len(text))
        match self._chance.randrange(4):
            case 0:
                return text[:at] + text[at + 1 :]
            case 1:
                return text[:at]
            case 2:
                return text[:at] + self._chance.choice('{}()[]":$@!…\0') + text[at:]
            case _:
                return text[:at] + text[at // 2 : at] + text[at:]

    def _field(self, name: str, field: GraphQLField, depth: int) -> str:
        given = [
            f"{argument}: {self._argument(of)}"
            for argument, of in field.args.items()
            if isinstance(of.type, GraphQLNonNull) or self._chance.random() < 0.35
        ]
        arguments = f"({', '.join(given)})" if given else ""
        directive = (
            self._chance.choice(["@include(if: true)", "@skip(if: false)"]) if self._chance.random() < 0.05 else ""
        )
        return f"{name}{arguments} {directive} {self._selection(get_named_type(field.type), depth)}"

    def _selection(self, of: Any, depth: int) -> str:
        if not isinstance(of, GraphQLObjectType):
            return ""
        parts = ["__typename"] if self._chance.random() < 0.1 else []
        for number, (name, field) in enumerate(self._some(of, self._chance.randint(1, 4))):
            if isinstance(get_named_type(field.type), GraphQLObjectType) and depth >= MOST_DEPTH:
                continue
            parts.append(f"a{number}: {self._field(name, field, depth + 1)}")
        selected = f"{{ {' '.join(parts) or '__typename'} }}"
        if self._chance.random() < 0.05:
            name = f"f{len(self._fragments)}"
            self._fragments.append(f"fragment {name} on {of.name} {selected}")
            return f"{{ ...{name} }}"
        return selected

    def _argument(self, argument: GraphQLArgument) -> str:
        value = self._value(argument.type, 0)
        if self._chance.random() < 0.5:
            name = f"v{len(self._variables)}"
            self._variables[name] = (argument.type, _plain(value))
            return f"${name}"
        return _literal(value)

    def _value(self, of: Any, depth: int) -> Any:
        if isinstance(of, GraphQLNonNull):
            return self._value(of.of_type, depth)
        if self._chance.random() < 0.05:
            return None
        if isinstance(of, GraphQLList):
            # what is no list is a list of one
            count = self._chance.choice([None, 0, 1, 2])
            return (
                self._value(of.of_type, depth)
                if count is None
                else [self._value(of.of_type, depth) for _ in range(count)]
            )
        if isinstance(of, GraphQLInputObjectType):
            return self._object(of, depth)
        if isinstance(of, GraphQLEnumType):
            return Name(self._chance.choice(list(of.values)))
        assert isinstance(of, GraphQLScalarType)
        return self._scalar(of.name)

    def _object(self, of: GraphQLInputObjectType, depth: int) -> dict[str, Any]:
        required = [name for name, field in of.fields.items() if isinstance(field.type, GraphQLNonNull)]
        others = [name for name in of.fields if name not in required]
        # inputs of mutations are filled, filters and orders have a few members and end somewhere
        wanted = self._chance.randint(0, 3) if of.name.endswith(("_exp", "_order_by")) else (2 * len(others)) // 3
        if depth >= MOST_DEPTH:
            others = [
                name for name in others if not isinstance(get_named_type(of.fields[name].type), GraphQLInputObjectType)
            ]
        chosen = required + self._chance.sample(others, min(wanted, len(others)))
        return {name: self._value(of.fields[name].type, depth + 1) for name in chosen}

    def _scalar(self, name: str) -> Any:
        choose = self._chance.choice
        if self._chance.random() < 0.02:
            return choose([*TEXTS, *INTEGERS, *FLOATS, True])
        if name.lower() in {"json", "jsonb"}:
            state = {"type": choose(KINDS), "start_time": choose(MOMENTS)}
            return choose([state, choose(JSONS), json.dumps(choose(JSONS))])
        if name.lower() == "uuid":
            return choose([*self._ids, *self._ids, "00000000-0000-0000-0000-000000000000", "nonsense"])
        return choose(VALUES.get(name.lower(), TEXTS))


class Name(str):
    """An enum value, which is written without quotes in documents."""


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_plain(member) for member in value]
    return value


def _literal(value: Any) -> str:
    if isinstance(value, Name):
        return value
    if isinstance(value, dict):
        if all(name.isidentifier() for name in value):
            return f"{{{', '.join(f'{name}: {_literal(member)}' for name, member in value.items())}}}"
        return _literal(json.dumps(value))
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    return json.dumps(value)
