"""What 1.x kept in its cloud only: key-value pairs, secrets, limits, API keys, version locking."""

import asyncio
import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from serialized_flows import serialized_flow

NOBODY = "00000000-0000-4000-8000-000000000000"


async def test_keys_and_values_as_the_1x_library_sends_them(api: Any) -> None:
    first = await api.mutate("set_key_value", key="k", value={"a": [1, None]})
    assert await api.mutate("set_key_value", key="k", value="text") == first
    await api.mutate("set_key_value", key="null", value=None)
    assert (await api.data('{ key_value(where: {key: {_eq: "k"}}) { value } }'))["key_value"] == [{"value": "text"}]
    assert (await api.data("{ key_value(order_by: {key: asc}) { key value } }"))["key_value"] == [
        {"key": "k", "value": "text"},
        {"key": "null", "value": None},
    ]
    literal = 'mutation { set_key_value(input: {key: "k", value: "{\\"b\\": 2}"}) { id } }'
    assert (await api.data(literal))["set_key_value"] == first
    assert (await api.data('{ key_value(where: {key: {_eq: "k"}}) { value } }'))["key_value"] == [{"value": {"b": 2}}]
    assert await api.mutate("delete_key_value", "success", key_value_id=first["id"]) == {"success": True}
    assert await api.mutate("delete_key_value", "success", key_value_id=first["id"]) == {"success": False}
    assert (await api.data('{ key_value(where: {key: {_eq: "k"}}) { id } }'))["key_value"] == []


@pytest.mark.parametrize(
    "members",
    [
        {"key": "", "value": 1},
        {"key": "k" * 1001, "value": 1},
        {"key": "k", "value": "x" * 10_000},
        {"key": "a\0", "value": 1},
        {"key": "k", "value": {"a": "\0"}},
    ],
)
async def test_unusable_pairs_are_not_stored(api: Any, members: dict[str, Any]) -> None:
    assert (await api.refusal("set_key_value", **members))[1] == "BAD_USER_INPUT"
    assert (await api.data("{ key_value { id } }"))["key_value"] == []


async def test_secrets_are_given_out_by_name_only(api: Any) -> None:
    for value in ("first", {"user": "u"}):
        assert await api.mutate("set_secret", "success", name="s", value=value) == {"success": True}
    await api.mutate("set_secret", "success", name="a", value=None)
    assert await api.data("{ secret_names }") == {"secret_names": ["a", "s"]}
    query = "query($name: String!) { secret_value(name: $name) }"
    assert await api.data(query, {"name": "s"}) == {"secret_value": {"user": "u"}}
    assert await api.data(query, {"name": "a"}) == {"secret_value": None}
    for name in ("missing", "", "\0"):
        (error,) = await api.errors(query, {"name": name})
        assert error["message"] == "No value found for the requested key"
        assert error["extensions"]["code"] == "NOT_FOUND"
    assert (await api.refusal("set_secret", "success", name="", value=1))[1] == "BAD_USER_INPUT"
    (error,) = await api.errors("{ secret { value } }")
    assert error["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


@pytest.mark.parametrize(
    ("noun", "member", "column"),
    [("task_tag_limit", "tag", "tag"), ("flow_concurrency_limit", "label", "name")],
)
async def test_limits(api: Any, noun: str, member: str, column: str) -> None:
    made = await api.mutate(f"update_{noun}", **{member: "db", "limit": 3})
    assert await api.mutate(f"update_{noun}", **{member: "db", "limit": 0}) == made
    data = await api.data(f'{{ {noun}(where: {{{column}: {{_eq: "db"}}}}) {{ id {column} limit }} }}')
    assert data == {noun: [{"id": made["id"], column: "db", "limit": 0}]}
    data = await api.data(f"{{ {noun}_aggregate {{ aggregate {{ max {{ limit }} sum {{ limit }} }} }} }}")
    assert data[f"{noun}_aggregate"]["aggregate"] == {"max": {"limit": 0}, "sum": {"limit": 0}}
    assert (await api.data(f"{{ {noun}(order_by: {{limit: desc}}, limit: 1) {{ limit }} }}"))[noun] == [{"limit": 0}]
    for given in ({member: "db", "limit": -1}, {member: "", "limit": 1}, {member: "x" * 1001, "limit": 1}):
        assert (await api.refusal(f"update_{noun}", **given))[1] == "BAD_USER_INPUT"
    assert await api.mutate(f"delete_{noun}", "success", limit_id=made["id"]) == {"success": True}
    assert await api.mutate(f"delete_{noun}", "success", limit_id=made["id"]) == {"success": False}


async def test_an_api_key_of_the_callers_own_making(api: Any) -> None:
    secret = secrets.token_urlsafe(32)
    answers = await asyncio.gather(
        *(api.mutate("create_api_key", "id key", name="ci", secret=secret) for _ in range(8))
    )
    assert answers == [{"id": answers[0]["id"], "key": secret}] * 8
    stored = await api.database.fetch_value("select key_hash from auth_api_key where name = 'ci'")
    assert stored == hashlib.sha256(secret.encode()).digest()
    message, code = await api.refusal("create_api_key", name="other", secret=secret)
    assert (message, code) == ("Uniqueness violation.", "UNIQUENESS_VIOLATION")
    for guessable in ("", "short", "a" * 43, "ab" * 21 + "c", secret + "x", "é" + secret[1:]):
        assert (await api.refusal("create_api_key", name="ci", secret=guessable))[1] == "BAD_USER_INPUT"


async def test_api_keys_are_shown_once(api: Any) -> None:
    user = str(uuid4())
    end = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    made = await api.mutate("create_api_key", "id key", name="ci", user_id=user, expires_at=end)
    other = await api.mutate("create_api_key", "id key", name="ci", user_id=None, expires_at=None)
    assert made["key"] != other["key"]
    assert len(made["key"]) >= 40
    rows = (await api.data("{ auth_api_key(order_by: {id: asc}) { id name user_id expires_at } }"))["auth_api_key"]
    assert [row["id"] for row in rows] == [made["id"], other["id"]]
    assert rows[0]["user_id"] == user
    assert rows[1]["expires_at"] is None
    stored = await api.database.fetch_value("select key_hash from auth_api_key where id = $1", made["id"])
    assert stored == hashlib.sha256(made["key"].encode()).digest()
    (error,) = await api.errors("{ auth_api_key { key_hash } }")
    assert error["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert await api.mutate("delete_api_key", "success", key_id=made["id"]) == {"success": True}
    assert await api.mutate("delete_api_key", "success", key_id=made["id"]) == {"success": False}
    for members in ({"name": ""}, {"name": "n" * 256}, {"name": "n", "expires_at": "2001-01-01"}):
        assert (await api.refusal("create_api_key", "key", **members))[1] == "BAD_USER_INPUT"


async def test_who_asks(api: Any) -> None:
    data = await api.data("{ auth_info { tenant_id user_id } }")
    assert data == {"auth_info": {"tenant_id": str(api.tenant_id), "user_id": str(api.tenant_id)}}


async def test_version_locking_and_the_older_spelling_of_a_state_change(api: Any) -> None:
    project = (await api.mutate("create_project", name="p"))["id"]
    flow = (await api.mutate("create_flow", project_id=project, serialized_flow=serialized_flow()))["id"]
    run = (await api.mutate("create_flow_run", flow_id=flow))["id"]
    assert await api.mutate("enable_flow_version_lock", "success", flow_id=flow) == {"success": True}
    state = {"type": "Submitted", "state": {"type": "Scheduled"}}
    _, code = await api.refusal("set_flow_run_state", flow_run_id=run, version=7, state=state)
    assert code == "VERSION_LOCKING_ERROR"
    assert await api.mutate("disable_flow_version_lock", "success", flow_id=flow) == {"success": True}
    assert await api.mutate("set_flow_run_state", flow_run_id=run, version=7, state=state) == {"id": run}
    assert (await api.refusal("enable_flow_version_lock", "success", flow_id=NOBODY))[0] == "Invalid flow ID."
