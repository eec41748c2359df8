"""Wrong input for every member of every mutation: an error with a code and a sentence, and nothing stored.

Mutations and members are found by introspection; wrong values go by type.
"""

import json
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    get_named_type,
)
from member_values import NOBODY, Belongings, belongings_of, document, stored, values_for, whole_input

from flowstead_server.api.schema import api_schema
from flowstead_server.domain.caller import Caller

SCHEMA = api_schema()._schema
MUTATIONS = sorted(SCHEMA.mutation_type.fields)
WRONG: dict[str, list[Any]] = {
    "UUID": ["nonsense", "", 7, [[1]], {"a": 1}, f"{NOBODY}0", "\0"],
    "String": [7, 1.5, True, [[1]], {"a": 1}],
    "Int": ["x", "1", 1.5, 2**31, -(2**31) - 1, True, {"a": 1}],
    "Boolean": ["true", 1, {"a": 1}],
    "DateTime": ["never", "", "2030-13-01", "2030-01-01T25:00:00", 7, True, {"a": 1}, "0001-01-01T00:00:00+14:00"],
}
MASKED = {"API_ERROR", "INTERNAL_SERVER_ERROR"}


@pytest.fixture
def api(shared_api: Any) -> Any:
    return shared_api


@pytest.fixture(scope="module")
async def owned(shared_api: Any) -> Belongings:
    return await belongings_of(shared_api.database, Caller(shared_api.tenant_id), "ours")


def wrong_values(kind: Any) -> list[Any]:
    named = get_named_type(kind)
    if isinstance(named, GraphQLEnumType):
        return ["NONSENSE", "", 7, {"a": 1}]
    if isinstance(named, GraphQLInputObjectType):
        return ["text", 7, {"no_such_member": 1}]
    values = WRONG.get(named.name, [])
    inner = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
    return [[value] for value in values] + [values[0]] if isinstance(inner, GraphQLList) and values else values


def wrong_inputs(kind: Any, values: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return whole inputs, each with one thing wrong, and what that is."""
    good = whole_input(kind, values)
    found: list[tuple[str, Any]] = [
        ("no object", "text"),
        ("null", None),
        ("unknown member", {**good, "no_such_member": 1}),
    ]
    for name, field in get_named_type(kind).fields.items():
        found += [(f"{name} = {value!r}", {**good, name: value}) for value in wrong_values(field.type)]
        if isinstance(field.type, GraphQLNonNull):
            found.append((f"{name} missing", {key: value for key, value in good.items() if key != name}))
            found.append((f"{name} null", {**good, name: None}))
        nested = get_named_type(field.type)
        if isinstance(nested, GraphQLInputObjectType):
            found += [(f"{name}: {what}", {**good, name: [bad]}) for what, bad in wrong_inputs(nested, values)]
    return found


def is_sentence(text: str) -> bool:
    return bool(text.strip()) and "Traceback" not in text and len(text) < 2_000


@pytest.mark.parametrize("name", MUTATIONS)
async def test_values_of_the_wrong_type_change_nothing(api: Any, owned: Belongings, name: str) -> None:
    before = await stored(api.database)
    problems = []
    kind = SCHEMA.mutation_type.fields[name].args["input"].type
    for what, given in wrong_inputs(kind, values_for(name, owned)):
        response = await api.post(document(SCHEMA, name), {"input": given})
        errors = response.json().get("errors")
        if response.status_code != 400 or not errors:
            problems.append((what, response.status_code, response.text[:200]))
            continue
        problems += [
            (what, error)
            for error in errors
            if error["extensions"]["code"] in MASKED or not is_sentence(error["message"])
        ]
    assert problems == []
    assert await stored(api.database) == before


async def test_ids_of_nothing_change_nothing(api: Any, owned: Belongings) -> None:
    before = await stored(api.database)
    problems = []
    for name, field in SCHEMA.mutation_type.fields.items():
        kind = field.args["input"].type
        values = values_for(name, owned)
        required = [
            member
            for member, one in get_named_type(kind).fields.items()
            if isinstance(one.type, GraphQLNonNull) and get_named_type(one.type).name == "UUID"
        ]
        for member in required:
            given = whole_input(kind, {**values, member: NOBODY})
            answer = (await api.post(document(SCHEMA, name), {"input": given})).json()
            errors = answer.get("errors", ())
            if any(error["extensions"]["code"] in MASKED or not is_sentence(error["message"]) for error in errors):
                problems.append((name, member, answer))
            payload = (answer.get("data") or {}).get(name) or {}
            harmless = name in {"update_flow_run_heartbeat", "extend_flow_run_claims"}
            if not errors and not harmless and any(payload.get(key) for key in ("success", "id", "state", "states")):
                problems.append((name, member, answer))
    assert problems == []
    assert await stored(api.database) == before


async def test_text_that_is_no_json_changes_nothing(api: Any, owned: Belongings) -> None:
    before = await stored(api.database)
    tried = 0
    for name, field in SCHEMA.mutation_type.fields.items():
        kind = get_named_type(field.args["input"].type)
        for member, one in kind.fields.items():
            if get_named_type(one.type).name != "JSON":
                continue
            others = {
                key: value
                for key, value in whole_input(kind, values_for(name, owned), optional=False).items()
                if key != member and not isinstance(value, dict | list)
            }
            given = ", ".join(
                f"{key}: {value if key == 'type' and name == 'create_cloud_hook' else json.dumps(value)}"
                for key, value in others.items()
            )
            text = f'mutation {{ {name}(input: {{{given} {member}: "{{not json"}}) {{ __typename }} }}'
            errors = await api.errors(text)
            assert all(error["extensions"]["code"] not in MASKED for error in errors), (text, errors)
            assert any("JSON" in error["message"] for error in errors), (text, errors)
            tried += 1
    assert tried > 15
    assert await stored(api.database) == before


@pytest.mark.parametrize("name", MUTATIONS)
async def test_a_request_beyond_the_limit_is_refused_whole(api: Any, name: str) -> None:
    response = await api.post(document(SCHEMA, name), {"input": {"padding": "x" * 250_000}})
    (error,) = response.json()["errors"]
    assert 400 <= response.status_code < 500
    assert error["extensions"]["code"] not in MASKED
    assert is_sentence(error["message"])
