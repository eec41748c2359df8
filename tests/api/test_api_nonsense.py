"""Nonsense for every mutation: always an answer, never an internal error, and nothing stored that should not be."""

import json
import random
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    GraphQLSchema,
    get_named_type,
)
from serialized_flows import serialized_flow

from flowstead_server.api.schema import api_schema

DEEP: Any = 1
for _ in range(200):
    DEEP = [DEEP]

TEXTS: list[Any] = [
    "",
    "a",
    "\0",
    "a\0b",
    "\ud7ff\uffff\U0010ffff",
    "x" * 5_000,
    "'; drop table flow_run; --",
    "{}",
    "null",
    "%s%n",
    "Ü" * 600,
]
MOMENTS = [
    "2030-01-01T00:00:00",
    "0001-01-01",
    "9999-12-31T23:59:59.999999-23:59",
    "9999-12-31",
    "never",
    "2030-01-01T00:00:00+14:00",
]
NUMBERS = [0, -1, 1, 2**31 - 1, -(2**31), 2**31, 2**63, 1.5, "1"]
STATES = [
    "Scheduled",
    "Running",
    "Success",
    "Submitted",
    "Queued",
    "Paused",
    "Retrying",
    "Mapped",
    "Nonsense",
    "",
    None,
]
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
    {"labels": 7},
    {"labels": ["\0", 1]},
    {"clocks": [{}]},
    [{"slug": None}],
    [{"slug": "a"}, {"slug": "a"}],
    [{"upstream_task": 1, "downstream_task": {}}],
    {"name": "f", "tasks": [{"slug": "a", "retry_delay": "x", "max_retries": -1, "tags": 3}], "edges": 7},
    {"name": "f", "tasks": [{"slug": "a", "retry_delay": 1e300}], "schedule": {"clocks": [{"parameter_defaults": 1}]}},
    {"name": "\0", "parameters": 7, "storage": 1, "environment": [], "run_config": "x"},
    {"name": "f", "__version__": "0.1.0"},
    {"name": "f", "__version__": 7, "tasks": None, "edges": None, "parameters": [{"name": None}], "schedule": []},
]


class Nonsense:
    """Makes inputs of any input type: mostly of the right type, seldom sensible."""

    def __init__(self, seed: int, ids: list[str]) -> None:
        self.chance = random.Random(seed)
        self.ids = ids

    def value(self, kind: Any) -> Any:
        if isinstance(kind, GraphQLNonNull):
            return self.value(kind.of_type)
        if self.chance.random() < 0.1:
            return None
        if isinstance(kind, GraphQLList):
            return [self.value(kind.of_type) for _ in range(self.chance.randint(0, 3))]
        if isinstance(kind, GraphQLInputObjectType):
            return {
                name: self.value(field.type)
                for name, field in kind.fields.items()
                if isinstance(field.type, GraphQLNonNull) or self.chance.random() < 0.6
            }
        assert isinstance(kind, GraphQLScalarType | GraphQLEnumType)
        return self.scalar(kind.name)

    def scalar(self, name: str) -> Any:
        choose = self.chance.choice
        choices: dict[str, list[Any]] = {
            "UUID": [*self.ids, *self.ids, "00000000-0000-0000-0000-000000000000", "nonsense"],
            "DateTime": MOMENTS,
            "Int": NUMBERS,
            "Boolean": [True, False],
            "JSON": [self.state(), choose(JSONS)],
        }
        return choose(choices.get(name, TEXTS))

    def state(self) -> dict[str, Any]:
        choose = self.chance.choice
        return {"type": choose(STATES), "start_time": choose([*MOMENTS, None, 7]), "message": choose([*TEXTS, 7])}


def selection(schema: GraphQLSchema, kind: Any) -> str:
    named: Any = get_named_type(kind)
    if not hasattr(named, "fields"):
        return ""
    return "{ " + " ".join(f"{name} {selection(schema, field.type)}" for name, field in named.fields.items()) + " }"


@pytest.mark.parametrize("seed", range(4))
async def test_nonsense_is_refused_with_a_sentence(api: Any, seed: int) -> None:
    schema = api_schema()._schema
    assert schema.mutation_type is not None
    project = await api.mutate("create_project", name="sense")
    flow = await api.mutate("create_flow", project_id=project["id"], serialized_flow=serialized_flow())
    flow_id = flow["id"]
    run = await api.mutate("create_flow_run", flow_id=flow_id)
    agent = await api.mutate("register_agent", type="LocalAgent")
    found = await api.data("{ task { id } task_run { id } project { id } flow_group { id } }")
    ids = [flow_id, run["id"], agent["id"], *(row["id"] for rows in found.values() for row in rows)]
    nonsense = Nonsense(seed, ids)
    for _ in range(12):
        for name, field in schema.mutation_type.fields.items():
            kind = field.args["input"].type
            query = f"mutation($input: {kind}) {{ {name}(input: $input) {selection(schema, field.type)} }}"
            given = {"input": nonsense.value(kind)}
            response = await api.http.post("/", content=json.dumps({"query": query, "variables": given}))
            answer = response.json()
            for error in answer.get("errors", ()):
                assert error["extensions"]["code"] not in {"API_ERROR", "INTERNAL_SERVER_ERROR"}, (name, given, error)
                assert error["message"], (name, given)
            assert response.status_code == (400 if "data" not in answer else 200)
