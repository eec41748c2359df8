"""Tenants, projects, agents, and registering flows."""

import asyncio
from uuid import UUID, uuid4

import orjson
import pytest
from seeds import Seed, seed, serialized_flow, stranger

from flowstead_server.db import Database
from flowstead_server.domain.caller import Caller
from flowstead_server.domain.errors import (
    ApiUnavailableError,
    BadInputError,
    ForeignKeyViolationError,
    NotFoundError,
    UniquenessViolationError,
)
from flowstead_server.orchestration.agents import RegisterAgent, register_agent
from flowstead_server.orchestration.flows import (
    CreateFlow,
    archive_flow,
    create_flow,
    register_edges,
    register_tasks,
    set_schedule_active,
    set_schedule_inactive,
)
from flowstead_server.orchestration.projects import CreateProject, create_project
from flowstead_server.orchestration.tenants import (
    CreateTenant,
    create_tenant,
    default_tenant_id,
    ensure_default_tenant,
)

SCHEDULE = {"type": "Schedule", "clocks": [{"type": "IntervalClock", "interval": 60_000_000}]}
REQUIRED = {"name": "x", "slug": "x", "required": True, "default": None}


async def register(
    seeded: Seed, name: str = "hello-world", *, request: dict[str, object] | None = None, **members
) -> UUID:
    flow = serialized_flow(name, **members)
    return await create_flow(seeded.database, seeded.caller, CreateFlow(flow, seeded.project_id, **(request or {})))


async def flow_row(database: Database, flow_id: UUID) -> dict[str, object]:
    row = await database.fetch_row("select * from flow where id = $1", flow_id)
    assert row is not None
    return dict(row)


async def test_default_tenant_is_made_once(database: Database) -> None:
    with pytest.raises(ApiUnavailableError):
        await default_tenant_id(database)
    ids = await asyncio.gather(*(ensure_default_tenant(database) for _ in range(8)))
    assert set(ids) == {await default_tenant_id(database)}
    await create_tenant(database, CreateTenant("A", "a-tenant"))
    assert await ensure_default_tenant(database) == ids[0]


@pytest.mark.parametrize("slug", ["", "A", "a b", "ä", "-a"])
async def test_slugs_are_slugified(database: Database, slug: str) -> None:
    with pytest.raises(BadInputError) as raised:
        await create_tenant(database, CreateTenant("T", slug))
    assert raised.value.message == 'Slug must be "slugified" (lowercase; no spaces)'


async def test_slugs_and_project_names_are_unique(database: Database) -> None:
    caller = Caller(await ensure_default_tenant(database))
    await create_project(database, caller, CreateProject("p", "about"))
    for attempt in (
        create_project(database, caller, CreateProject("p")),
        create_tenant(database, CreateTenant("T", "default")),
    ):
        with pytest.raises(UniquenessViolationError) as raised:
            await attempt
        assert raised.value.message == "Uniqueness violation."
    await create_project(database, await stranger(database), CreateProject("p"))


async def test_projects_of_other_tenants_cannot_be_made(database: Database) -> None:
    caller = Caller(await ensure_default_tenant(database))
    other = await stranger(database)
    for tenant_id in (other.tenant_id, uuid4()):
        with pytest.raises(ForeignKeyViolationError) as raised:
            await create_project(database, caller, CreateProject("p", tenant_id=tenant_id))
        assert raised.value.message == "Foreign key violation."
    with pytest.raises(BadInputError):
        await create_project(database, caller, CreateProject(""))


async def test_agents_with_one_identity_are_one_agent(database: Database) -> None:
    caller = Caller(await ensure_default_tenant(database), core_version="1.5.0")
    request = RegisterAgent("LocalAgent", "a", ["y", "x", "x"])
    ids = await asyncio.gather(*(register_agent(database, caller, request) for _ in range(16)))
    assert len(set(ids)) == 1
    row = await database.fetch_row("select * from agent")
    assert row is not None
    assert (row["labels"], row["core_version"], row["tenant_id"]) == ('["x", "y"]', "1.5.0", caller.tenant_id)
    assert row["last_queried"] is not None
    # a null name or version finds any
    assert (
        await register_agent(database, Caller(caller.tenant_id), RegisterAgent("LocalAgent", None, ["x", "y"]))
        == ids[0]
    )
    others = [
        await register_agent(database, caller, RegisterAgent("LocalAgent", "a", ["x"])),
        await register_agent(database, caller, RegisterAgent("LocalAgent", "b", ["x", "y"])),
        await register_agent(database, caller, RegisterAgent("DockerAgent", "a", ["x", "y"])),
        await register_agent(database, Caller(caller.tenant_id, core_version="2"), request),
        await register_agent(database, await stranger(database), request),
    ]
    assert len({*ids, *others}) == 6


async def test_agents_of_other_tenants_or_configs_are_refused(database: Database) -> None:
    caller = Caller(await ensure_default_tenant(database))
    with pytest.raises(BadInputError, match="No tenant found"):
        await register_agent(database, caller, RegisterAgent("LocalAgent", tenant_id=uuid4()))
    with pytest.raises(ForeignKeyViolationError):
        await register_agent(database, caller, RegisterAgent("LocalAgent", agent_config_id=uuid4()))


async def test_flow_is_stored_with_tasks_and_edges(database: Database) -> None:
    seeded = await seed(database, tasks=3)
    row = await flow_row(database, seeded.flow_id)
    assert (row["name"], row["version"], row["archived"], row["core_version"]) == ("hello-world", 1, False, "1.4.1")
    assert orjson.loads(str(row["serialized_flow"])) == serialized_flow(tasks=3)
    tasks = await database.fetch("select * from task where flow_id = $1", seeded.flow_id)
    assert {task["slug"] for task in tasks} == {"t-1", "t-2", "t-3"}
    assert {task["trigger"] for task in tasks} == {"prefect.triggers.all_successful"}
    assert {task["tenant_id"] for task in tasks} == {seeded.caller.tenant_id}
    assert await database.fetch_value("select count(*) from edge where flow_id = $1", seeded.flow_id) == 2
    group = await database.fetch_row("select * from flow_group")
    assert group is not None
    assert group["name"] == row["version_group_id"]
    assert orjson.loads(group["settings"]) == {
        "heartbeat_enabled": True,
        "lazarus_enabled": True,
        "version_locking_enabled": False,
        "idempotency_key": None,
    }


async def test_versions_of_a_name_follow_each_other_and_archive_the_older(database: Database) -> None:
    seeded = await seed(database)
    second = await register(seeded)
    third = await register(seeded)
    rows = [await flow_row(database, flow_id) for flow_id in (seeded.flow_id, second, third)]
    assert [row["version"] for row in rows] == [1, 2, 3]
    assert [row["archived"] for row in rows] == [True, True, False]
    assert len({row["flow_group_id"] for row in rows}) == 1
    assert (await flow_row(database, await register(seeded, "another")))["version"] == 1


async def test_versions_are_consecutive_when_many_register_at_once(database: Database) -> None:
    seeded = await seed(database)
    await asyncio.gather(*(register(seeded, "together") for _ in range(12)))
    rows = await database.fetch(
        "select version, archived, flow_group_id from flow where name = 'together' order by version"
    )
    assert [row["version"] for row in rows] == list(range(1, 13))
    assert len({row["flow_group_id"] for row in rows}) == 1
    assert sum(not row["archived"] for row in rows) == 1


async def test_same_idempotency_key_returns_the_same_flow(database: Database) -> None:
    seeded = await seed(database)
    first = await register(seeded, request={"idempotency_key": "k1"})
    assert await register(seeded, request={"idempotency_key": "k1"}) == first
    second = await register(seeded, request={"idempotency_key": "k2"})
    assert second != first
    # only the latest key is remembered, and none forgets it
    third = await register(seeded, request={"idempotency_key": "k1"})
    assert third not in {first, second}
    await register(seeded)
    assert await register(seeded, request={"idempotency_key": "k1"}) != third


async def test_key_of_an_archived_flow_registers_anew(database: Database) -> None:
    seeded = await seed(database)
    first = await register(seeded, request={"idempotency_key": "k"})
    assert await archive_flow(database, seeded.caller, first)
    assert await register(seeded, request={"idempotency_key": "k"}) != first


async def test_given_version_group_is_used_across_names(database: Database) -> None:
    seeded = await seed(database)
    group = {"version_group_id": "mine"}
    first = await register(seeded, "a", request=group)
    second = await register(seeded, "b", request=group)
    rows = [await flow_row(database, flow_id) for flow_id in (first, second)]
    assert [(row["version"], row["archived"], row["version_group_id"]) for row in rows] == [
        (1, True, "mine"),
        (2, False, "mine"),
    ]


async def test_unknown_and_foreign_projects_are_refused(database: Database) -> None:
    seeded = await seed(database)
    other = await stranger(database)
    for caller, project_id in ((seeded.caller, uuid4()), (other, seeded.project_id)):
        with pytest.raises(NotFoundError) as raised:
            await create_flow(database, caller, CreateFlow(serialized_flow(), project_id))
        assert raised.value.message == "Invalid project."


async def test_failing_registration_leaves_nothing(database: Database) -> None:
    seeded = await seed(database)
    edge = {"upstream_task": "t-1", "downstream_task": {"slug": "nowhere"}}
    with pytest.raises(BadInputError, match="some edges reference tasks that do not exist within this flow"):
        await register(seeded, edges=[edge])
    assert await database.fetch_value("select count(*) from flow") == 1
    assert not (await flow_row(database, seeded.flow_id))["archived"]


async def test_tasks_and_edges_can_follow_in_batches_and_be_repeated(database: Database) -> None:
    seeded = await seed(database)
    whole = serialized_flow("late", tasks=5)
    bare = {name: value for name, value in whole.items() if name not in {"tasks", "edges"}}
    flow_id = await create_flow(database, seeded.caller, CreateFlow(bare, seeded.project_id))
    for _ in range(2):
        for part in (whole["tasks"][:3], whole["tasks"][2:]):
            assert await register_tasks(database, seeded.caller, flow_id, part)
        for part in (whole["edges"][:2], whole["edges"][2:]):
            assert await register_edges(database, seeded.caller, flow_id, part)
    assert await database.fetch_value("select count(*) from task where flow_id = $1", flow_id) == 5
    assert await database.fetch_value("select count(*) from edge where flow_id = $1", flow_id) == 4
    stored = orjson.loads(str((await flow_row(database, flow_id))["serialized_flow"]))
    assert stored["tasks"] == whole["tasks"]
    assert stored["edges"] == whole["edges"]


async def test_tasks_of_unknown_or_foreign_flows_are_refused(database: Database) -> None:
    seeded = await seed(database)
    other = await stranger(database)
    for caller, flow_id in ((seeded.caller, uuid4()), (other, seeded.flow_id)):
        with pytest.raises(NotFoundError):
            await register_tasks(database, caller, flow_id, [{"slug": "new"}])
        with pytest.raises(NotFoundError):
            await register_edges(database, caller, flow_id, [])
    with pytest.raises(BadInputError, match="reference tasks that do not exist"):
        await register_edges(
            database, seeded.caller, seeded.flow_id, [{"upstream_task": "t-1", "downstream_task": "x"}]
        )


async def test_retry_delay_and_ids_of_tasks_are_stored(database: Database) -> None:
    seeded = await seed(database)
    task_id = uuid4()
    task = {"slug": "s", "id": str(task_id), "retry_delay": 62, "max_retries": 3, "tags": ["b"], "cache_key": "k"}
    await register_tasks(database, seeded.caller, seeded.flow_id, [task])
    row = await database.fetch_row("select *, retry_delay::text as delay from task where id = $1", task_id)
    assert row is not None
    assert (row["delay"], row["max_retries"], row["tags"], row["cache_key"]) == ("00:01:02", 3, '["b"]', "k")


async def test_schedule_is_activated_with_the_registration(database: Database) -> None:
    seeded = await seed(database)
    scheduled = await register(seeded, "s", schedule=SCHEDULE)
    assert (await flow_row(database, scheduled))["is_schedule_active"]
    assert await set_schedule_inactive(database, seeded.caller, scheduled)
    assert not (await flow_row(database, scheduled))["is_schedule_active"]
    assert await set_schedule_active(database, seeded.caller, scheduled)
    unwanted = await register(seeded, "u", schedule=SCHEDULE, request={"set_schedule_active": False})
    assert not (await flow_row(database, unwanted))["is_schedule_active"]


async def test_flow_that_needs_parameters_registers_but_does_not_schedule(database: Database) -> None:
    seeded = await seed(database)
    flow_id = await register(seeded, "s", schedule=SCHEDULE, parameters=[REQUIRED])
    assert not (await flow_row(database, flow_id))["is_schedule_active"]
    with pytest.raises(BadInputError, match="Can not schedule a flow that has required parameters"):
        await set_schedule_active(database, seeded.caller, flow_id)


async def test_flows_without_schedule_or_of_others_are_not_scheduled(database: Database) -> None:
    seeded = await seed(database)
    other = await stranger(database)
    scheduled = await register(seeded, "s", schedule=SCHEDULE)
    assert not await set_schedule_active(database, seeded.caller, seeded.flow_id)
    for caller, flow_id in ((seeded.caller, uuid4()), (other, scheduled)):
        assert not await set_schedule_active(database, caller, flow_id)
        assert not await set_schedule_inactive(database, caller, flow_id)
        assert not await archive_flow(database, caller, flow_id)


@pytest.mark.parametrize("how", ["archive", "register"])
async def test_archiving_cancels_waiting_runs_and_deletes_scheduled_ones(database: Database, how: str) -> None:
    seeded = await seed(database)
    kept, automatic = await seeded.run(), await seeded.run()
    await database.execute("update flow_run set auto_scheduled = true where id = $1", automatic)
    if how == "archive":
        assert await archive_flow(database, seeded.caller, seeded.flow_id)
    else:
        await register(seeded)
    rows = await database.fetch("select id, state, state_message from flow_run")
    assert [(row["id"], row["state"], row["state_message"]) for row in rows] == [
        (kept, "Cancelled", f"Flow {seeded.flow_id} was archived.")
    ]
    states = await database.fetch("select state from task_run")
    assert [row["state"] for row in states] == ["Cancelled"] * 2
