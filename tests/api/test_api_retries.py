"""Mutations sent twice, as a client does whose answer got lost: the second does no harm."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from serialized_flows import compressed, serialized_edge, serialized_flow, serialized_task

from flowstead_server.api.schema import api_schema
from flowstead_server.services.log_batches import LogBatches
from flowstead_server.store import hook_deliveries

HOOK = {"type": "WEBHOOK", "name": "h", "states": ["Failed", "Scheduled"], "config": {"url": "https://example.com/"}}


@dataclass
class World:
    """Ids of stored rows."""

    api: Any
    project: str
    other_project: str
    flow: str
    group: str
    run: str
    ended_run: str
    task: str
    task_run: str
    agent: str
    config: str
    artifact: str
    message: str
    tenant: str
    hook: str
    delivery: str
    message_hook: str
    key_value: str
    tag_limit: str
    flow_limit: str
    key: str

    async def counts(self) -> dict[str, int]:
        """How many rows each table has."""
        tables = await self.api.database.fetch(
            "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') "
            "and not relispartition"
        )
        counts = " union all ".join(f"select '{row[0]}', count(*) from {row[0]}" for row in tables)
        return {row[0]: row[1] for row in await self.api.database.fetch(counts)}


@pytest.fixture
async def world(api: Any) -> World:
    project = await api.mutate("create_project", name="project")
    other = await api.mutate("create_project", name="other")
    flow = await api.mutate(
        "create_flow", project_id=project["id"], serialized_flow=serialized_flow(), set_schedule_active=True
    )
    hook = await api.mutate("create_cloud_hook", **HOOK)
    run = await api.mutate("create_flow_run", flow_id=flow["id"])
    await api.mutate(
        "set_flow_run_states", "states { id }", states=[{"flow_run_id": run["id"], "state": {"type": "Running"}}]
    )
    await hook_deliveries.spread(api.database)
    found = await api.data("{ flow_group { id } task { id } task_run { id } cloud_hook_delivery { id } }")
    ended = await api.mutate("create_flow_run", flow_id=flow["id"])
    await api.mutate("cancel_flow_run", "state", flow_run_id=ended["id"])
    task_run = found["task_run"][0]["id"]
    artifact = await api.mutate(
        "create_task_run_artifact", task_run_id=task_run, kind="link", data={"link": "http://x"}
    )
    message = await api.database.fetch_value(
        "insert into message (tenant_id, type, text) values ($1, 'x', 'y') returning id", api.tenant_id
    )
    return World(
        api=api,
        project=project["id"],
        other_project=other["id"],
        flow=flow["id"],
        group=found["flow_group"][0]["id"],
        run=run["id"],
        ended_run=ended["id"],
        task=found["task"][0]["id"],
        task_run=task_run,
        agent=(await api.mutate("register_agent", type="LocalAgent", name="a"))["id"],
        config=(await api.mutate("create_agent_config", name="c", settings={}))["id"],
        artifact=artifact["id"],
        message=str(message),
        tenant=str(api.tenant_id),
        hook=hook["id"],
        delivery=found["cloud_hook_delivery"][0]["id"],
        message_hook=(await api.mutate("create_cloud_hook", type="PREFECT_MESSAGE", states=["Failed"]))["id"],
        key_value=(await api.mutate("set_key_value", key="k", value=1))["id"],
        tag_limit=(await api.mutate("update_task_tag_limit", tag="t", limit=1))["id"],
        flow_limit=(await api.mutate("update_flow_concurrency_limit", label="l", limit=1))["id"],
        key=(await api.mutate("create_api_key", name="k"))["id"],
    )


FLOW = serialized_flow(name="another")
CASES: dict[str, Callable[[World], dict[str, Any]]] = {
    "create_tenant": lambda _: {"name": "t", "slug": "t"},
    "create_project": lambda _: {"name": "new"},
    "delete_project": lambda w: {"project_id": w.project},
    "set_project_name": lambda w: {"project_id": w.project, "name": "new"},
    "set_project_description": lambda w: {"project_id": w.project, "description": "new"},
    "set_project_retention": lambda w: {"project_id": w.project, "rules": [{"state": "Failed", "logs_days": 9}]},
    "delete_tenant": lambda w: {"tenant_id": w.tenant, "confirm": True},
    "update_tenant_name": lambda w: {"tenant_id": w.tenant, "name": "new"},
    "update_tenant_slug": lambda w: {"tenant_id": w.tenant, "slug": "new"},
    "update_tenant_settings": lambda w: {"tenant_id": w.tenant, "settings": {"a": 1}},
    "create_flow": lambda w: {"project_id": w.project, "serialized_flow": FLOW, "idempotency_key": "k"},
    "create_flow_from_compressed_string": lambda w: {
        "project_id": w.project,
        "serialized_flow": compressed(FLOW),
        "idempotency_key": "k",
    },
    "register_tasks": lambda w: {"flow_id": w.flow, "serialized_tasks": [serialized_task("third-1")]},
    "register_edges": lambda w: {"flow_id": w.flow, "serialized_edges": [serialized_edge("second-1", "first-1")]},
    "archive_flow": lambda w: {"flow_id": w.flow},
    "set_schedule_active": lambda w: {"flow_id": w.flow},
    "set_schedule_inactive": lambda w: {"flow_id": w.flow},
    "delete_flow": lambda w: {"flow_id": w.flow},
    "update_flow_project": lambda w: {"flow_id": w.flow, "project_id": w.other_project},
    "enable_flow_heartbeat": lambda w: {"flow_id": w.flow},
    "disable_flow_heartbeat": lambda w: {"flow_id": w.flow},
    "enable_flow_lazarus_process": lambda w: {"flow_id": w.flow},
    "disable_flow_lazarus_process": lambda w: {"flow_id": w.flow},
    "delete_flow_group": lambda w: {"flow_group_id": w.group},
    "set_flow_group_default_parameters": lambda w: {"flow_group_id": w.group, "parameters": {}},
    "set_flow_group_labels": lambda w: {"flow_group_id": w.group, "labels": ["a"]},
    "set_flow_group_concurrency_limit": lambda w: {"flow_group_id": w.group, "limit": 3},
    "set_flow_group_description": lambda w: {"flow_group_id": w.group, "description": "d"},
    "set_flow_group_run_config": lambda w: {"flow_group_id": w.group, "run_config": {"type": "UniversalRun"}},
    "set_flow_group_schedule": lambda w: {"flow_group_id": w.group, "cron_clocks": [{"cron": "0 0 * * *"}]},
    "delete_flow_group_schedule": lambda w: {"flow_group_id": w.group},
    "create_flow_run": lambda w: {"flow_id": w.flow, "idempotency_key": "k"},
    "set_flow_run_name": lambda w: {"flow_run_id": w.run, "name": "n"},
    "cancel_flow_run": lambda w: {"flow_run_id": w.run},
    "restart_flow_run": lambda w: {"flow_run_id": w.ended_run, "idempotency_key": "k"},
    "update_flow_run_heartbeat": lambda w: {"flow_run_id": w.run},
    "set_flow_run_labels": lambda w: {"flow_run_id": w.run, "labels": ["a"]},
    "set_flow_run_priority": lambda w: {"flow_run_id": w.run, "priority": 7},
    "delete_flow_run": lambda w: {"flow_run_id": w.run},
    "get_or_create_task_run": lambda w: {"flow_run_id": w.run, "task_id": w.task, "map_index": 3},
    "get_or_create_task_run_info": lambda w: {"flow_run_id": w.run, "task_id": w.task, "map_index": 3},
    "get_or_create_mapped_task_runs": lambda w: {"flow_run_id": w.run, "task_id": w.task, "first": 3, "count": 2},
    "set_task_run_name": lambda w: {"task_run_id": w.task_run, "name": "n"},
    "update_task_run_heartbeat": lambda w: {"task_run_id": w.task_run},
    "set_flow_run_states": lambda w: {
        "states": [{"flow_run_id": w.run, "version": 2, "state": {"type": "Success", "message": "m"}}]
    },
    "set_task_run_states": lambda w: {
        "states": [{"task_run_id": w.task_run, "version": 1, "state": {"type": "Running", "message": "m"}}]
    },
    "write_run_logs": lambda w: {
        "logs": [{"flow_run_id": w.run, "message": "m", "timestamp": "2030-01-01T00:00:00", "name": "n"}],
        "batch_id": str(uuid4()),
    },
    "create_task_run_artifact": lambda w: {
        "task_run_id": w.task_run,
        "kind": "link",
        "data": {"link": "y"},
        "id": str(uuid4()),
    },
    "update_task_run_artifact": lambda w: {"task_run_artifact_id": w.artifact, "data": {"link": "z"}},
    "delete_task_run_artifact": lambda w: {"task_run_artifact_id": w.artifact},
    "mark_message_as_read": lambda w: {"message_id": w.message},
    "mark_message_as_unread": lambda w: {"message_id": w.message},
    "delete_message": lambda w: {"message_id": w.message},
    "register_agent": lambda _: {"type": "LocalAgent", "name": "b", "labels": ["x"]},
    "get_runs_in_queue": lambda w: {"tenant_id": w.tenant, "labels": []},
    "claim_flow_runs": lambda w: {"agent_id": w.agent, "labels": []},
    "extend_flow_run_claims": lambda w: {"agent_id": w.agent, "claims": []},
    "delete_agent": lambda w: {"agent_id": w.agent},
    "create_agent_config": lambda _: {"name": "n", "settings": {}},
    "update_agent_config": lambda w: {"agent_config_id": w.config, "name": "n", "settings": {"a": 1}},
    "set_flow_run_state": lambda w: {"flow_run_id": w.run, "version": 2, "state": {"type": "Success"}},
    "create_cloud_hook": lambda _: HOOK,
    "test_cloud_hook": lambda w: {"cloud_hook_id": w.message_hook},
    "delete_cloud_hook": lambda w: {"cloud_hook_id": w.hook},
    "retry_cloud_hook_delivery": lambda w: {"cloud_hook_delivery_id": w.delivery},
    "set_cloud_hook_active": lambda w: {"cloud_hook_id": w.hook},
    "set_cloud_hook_inactive": lambda w: {"cloud_hook_id": w.hook},
    "set_key_value": lambda _: {"key": "new", "value": [1]},
    "delete_key_value": lambda w: {"key_value_id": w.key_value},
    "set_secret": lambda _: {"name": "s", "value": "v"},
    "update_task_tag_limit": lambda _: {"tag": "new", "limit": 3},
    "delete_task_tag_limit": lambda w: {"limit_id": w.tag_limit},
    "update_flow_concurrency_limit": lambda _: {"label": "new", "limit": 3},
    "delete_flow_concurrency_limit": lambda w: {"limit_id": w.flow_limit},
    "create_api_key": lambda _: {"name": "new", "secret": "0123456789-abcdefghijklmnopqrstuvwxyz_ABCDE"},
    "delete_api_key": lambda w: {"key_id": w.key},
    "enable_flow_version_lock": lambda w: {"flow_id": w.flow},
    "disable_flow_version_lock": lambda w: {"flow_id": w.flow},
    "delete_agent_config": lambda w: {"agent_config_id": w.config},
}


def selection(name: str) -> str:
    mutations = api_schema()._schema.mutation_type
    assert mutations is not None
    payload: Any = mutations.fields[name].type
    leaves = {
        "states": "states { id status message }",
        "flow_runs": "flow_runs { id }",
        "again": "again { id task_slug map_index reason }",
        "task_runs": "task_runs { id version serialized_state }",
    }
    return " ".join(leaves.get(member, member) for member in payload.fields if member != "lease_expires")


# What has no key on the wire to know a repetition by: one more row, and nothing else.
APPENDING = {
    "test_cloud_hook": "message",
    "set_flow_run_state": "flow_run_state",
    "set_flow_run_states": "flow_run_state",
    "create_cloud_hook": "cloud_hook",
    "set_task_run_states": "task_run_state",
    "create_agent_config": "agent_config",
}
# Clients of 1.x look for this text and find the row by its name.
UNIQUE = {"create_tenant", "create_project"}


# The tenant of callers without a key is never deleted; test_api_management deletes another one twice.
REFUSED = {"delete_tenant"}


def test_every_mutation_is_sent_twice() -> None:
    mutations = api_schema()._schema.mutation_type
    assert mutations is not None
    assert set(CASES) == set(mutations.fields)


@pytest.mark.parametrize("name", CASES)
async def test_a_mutation_sent_twice(world: World, name: str) -> None:
    query = f"mutation($input: {name}_input!) {{ {name}(input: $input) {{ {selection(name)} }} }}"
    given = {"input": CASES[name](world)}
    first = (await world.api.post(query, given)).json()
    assert ("errors" in first) is (name in REFUSED), first
    before = await world.counts()
    second = (await world.api.post(query, given)).json()
    after = await world.counts()
    grown = {table: after[table] - before[table] for table in after if after[table] != before[table]}
    assert grown == ({APPENDING[name]: 1} if name in APPENDING else {})
    if name in UNIQUE:
        assert [error["message"] for error in second["errors"]] == ["Uniqueness violation."]
    elif name.startswith("delete_") and name not in {"delete_flow_group_schedule", *REFUSED}:
        assert first["data"][name]["success"] is True
        assert second["data"][name] == {"success": False, "error": None}
    elif name.startswith("create_") and name in APPENDING:
        assert first["data"][name]["id"] != second["data"][name]["id"]
    else:
        for answer in (first, second):
            # the time of the answer, which is a new one each time
            ((answer["data"] or {}).get("claim_flow_runs") or {}).pop("now", None)
        assert first == second


async def test_a_repeated_state_is_still_the_state(world: World) -> None:
    state = {"flow_run_id": world.run, "version": 2, "state": {"type": "Success", "message": "m"}}
    for _ in range(2):
        await world.api.mutate("set_flow_run_states", "states { id }", states=[state])
    data = await world.api.data(f'{{ flow_run_by_pk(id: "{world.run}") {{ state state_message }} }}')
    assert data["flow_run_by_pk"] == {"state": "Success", "state_message": "m"}


async def test_lines_are_stored_once_for_each_batch_id(world: World) -> None:
    """Of two requests at once one waits for the other; lines without an id, as 1.4.1 sends them, are all stored."""
    line = {"flow_run_id": world.run, "message": "m"}
    batch_id = str(uuid4())
    refused = [line, {**line, "flow_run_id": str(uuid4())}]
    message, _ = await world.api.refusal("write_run_logs", "success", logs=refused, batch_id=batch_id)
    assert message == "Foreign key violation."
    for given, stored in (({"batch_id": batch_id}, 2), ({"batch_id": str(uuid4())}, 4), ({}, 14)):
        answers = await asyncio.gather(
            *(world.api.mutate("write_run_logs", "success", logs=[line, line], **given) for _ in range(5))
        )
        assert answers == [{"success": True}] * 5
        assert await world.api.database.fetch_value("select count(*) from log") == stored


async def test_batch_ids_are_forgotten_after_an_hour(world: World) -> None:
    log = [{"flow_run_id": world.run, "message": "m"}]
    old, young = str(uuid4()), str(uuid4())
    for batch_id in (old, young):
        await world.api.mutate("write_run_logs", "success", logs=log, batch_id=batch_id)
    age = "update log_batch set created = created - $2::interval where batch_id = $1"
    await world.api.database.execute(age, old, timedelta(minutes=61))
    await world.api.database.execute(age, young, timedelta(minutes=59))
    # a client may have waited for the end of an outage
    await world.api.database.execute(
        "insert into heartbeat_reception (receiving_since, last_seen) values (now(), now())"
    )
    await LogBatches(world.api.database).run_once()
    assert len(await world.api.database.fetch("select batch_id from log_batch")) == 2
    await world.api.database.execute("update heartbeat_reception set receiving_since = now() - interval '2 hours'")
    await LogBatches(world.api.database).run_once()
    assert [str(row[0]) for row in await world.api.database.fetch("select batch_id from log_batch")] == [young]


async def test_an_artifact_with_an_id_belongs_to_one_task_run(world: World) -> None:
    given = {"task_run_id": world.task_run, "kind": "link", "data": {"link": "y"}, "id": str(uuid4())}
    answers = await asyncio.gather(*(world.api.mutate("create_task_run_artifact", **given) for _ in range(4)))
    assert answers == [{"id": given["id"]}] * 4
    others = await world.api.data(f'{{ task_run(where: {{id: {{_neq: "{world.task_run}"}}}}) {{ id }} }}')
    given["task_run_id"] = others["task_run"][0]["id"]
    message, code = await world.api.refusal("create_task_run_artifact", **given)
    assert (message, code) == ("Uniqueness violation.", "UNIQUENESS_VIOLATION")
