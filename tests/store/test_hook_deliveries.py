"""The outbox of cloud hooks: every way to write a state fills it, and what becomes of what is in it."""

from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
from hook_receivers import Receiver
from seeds import Seed, seed, serialized_flow

from flowstead_server.db import Database
from flowstead_server.domain.addresses import AddressRules
from flowstead_server.domain.caller import Caller
from flowstead_server.domain.hook_rules import HookRules
from flowstead_server.domain.liveness import LivenessRules
from flowstead_server.domain.states import STATE_NAMES
from flowstead_server.orchestration.cancellation import cancel_flow_run
from flowstead_server.orchestration.flows import CreateFlow, create_flow
from flowstead_server.orchestration.hook_deliveries import (
    HookDeliverer,
)
from flowstead_server.orchestration.hook_sender import HookSender
from flowstead_server.orchestration.hooks import (
    CreateCloudHook,
    create_cloud_hook,
)
from flowstead_server.orchestration.liveness import reap_dead_runs, receive_heartbeats, resurrect_lost_runs
from flowstead_server.orchestration.queue import ClaimFlowRuns, GetRunsInQueue, claim_flow_runs, get_runs_in_queue
from flowstead_server.orchestration.states import SetFlowRunState, set_flow_run_states

EVERYTHING = sorted(STATE_NAMES)
RULES = HookRules(
    addresses=AddressRules(allow_private=True), first_pause=timedelta(seconds=100), longest_pause=timedelta(hours=1)
)


async def hook_of(seeded: Seed, kind: str = "PREFECT_MESSAGE", states: list[str] | None = None, **members: Any) -> UUID:
    request = CreateCloudHook(kind, states or EVERYTHING, **members)
    return await create_cloud_hook(seeded.database, seeded.caller, request)


async def web_hook(seeded: Seed, other: Receiver, **members: Any) -> UUID:
    return await hook_of(seeded, "WEBHOOK", config={"url": other.url}, **members)


async def set_state(seeded: Seed, run_id: UUID, name: str, caller: Caller | None = None, **members: Any) -> Any:
    state = {"type": name, **members}
    (answer,) = await set_flow_run_states(seeded.database, caller or seeded.caller, [SetFlowRunState(run_id, state)])
    return answer


async def outbox(database: Database) -> list[dict[str, Any]]:
    rows = await database.fetch(
        "select d.*, e.event from cloud_hook_delivery d join cloud_hook_event e on e.id = d.event_id order by d.seq"
    )
    return [{**row, "event": orjson.loads(row["event"])} for row in rows]


async def changes(database: Database) -> list[tuple[str | None, str]]:
    """Return the state before and the state of every event, as they were stored."""
    events = [row["event"] for row in await outbox(database)]
    return [(event["flow_run"]["state"], event["state"]["state"]) for event in events]


def deliverer(database: Database, rules: HookRules = RULES) -> HookDeliverer:
    database.part(HookSender).rules = rules
    return database.part(HookDeliverer)


async def make_due(database: Database, seconds: float = 0) -> None:
    await database.execute(
        "update cloud_hook_delivery set next_attempt = now() - $1::interval where state = 'Waiting'",
        timedelta(seconds=seconds),
    )


# -- what is written ---------------------------------------------------------------------------------------------------


async def silent(database: Database) -> None:
    """Let the limit of heartbeats pass for all runs."""
    age = timedelta(seconds=700)
    await database.execute("update flow_run_heartbeat set heartbeat = heartbeat - $1::interval, followed = null", age)
    await database.execute(
        "update flow_run set state_timestamp = state_timestamp - $1::interval, queue_time = queue_time - $1::interval",
        age,
    )
    await database.execute("update heartbeat_reception set receiving_since = receiving_since - $1::interval", age)


async def claimed(seeded: Seed) -> tuple[UUID, Caller]:
    await seeded.run()
    (run,) = (await claim_flow_runs(seeded.database, seeded.caller, ClaimFlowRuns(await seeded.agent()))).flow_runs
    return run.id, replace(seeded.caller, claim_token=run.claim_token)


async def create(seeded: Seed) -> None:
    await seeded.run()


async def schedule(seeded: Seed) -> None:
    clock = {"type": "IntervalClock", "interval": 60_000_000}
    flow = serialized_flow("scheduled", schedule={"type": "Schedule", "clocks": [clock]})
    await create_flow(seeded.database, seeded.caller, CreateFlow(flow, seeded.project_id))


async def claim(seeded: Seed) -> None:
    await claimed(seeded)


async def write_states(seeded: Seed) -> None:
    run_id, process = await claimed(seeded)
    await set_state(seeded, run_id, "Running", process)
    await set_state(seeded, run_id, "Success", process)


async def write_many_states(seeded: Seed) -> None:
    runs = [await seeded.run() for _ in range(5)]
    await set_flow_run_states(
        seeded.database, seeded.caller, [SetFlowRunState(run, {"type": name}) for run in runs for name in ("Failed",)]
    )


async def cancel(seeded: Seed) -> None:
    await cancel_flow_run(seeded.database, seeded.caller, await seeded.run())
    run_id, process = await claimed(seeded)
    await set_state(seeded, run_id, "Running", process)
    await cancel_flow_run(seeded.database, seeded.caller, run_id)


async def end_a_lease(seeded: Seed) -> None:
    await seeded.run()
    agent_id = await seeded.agent()
    await claim_flow_runs(seeded.database, seeded.caller, ClaimFlowRuns(agent_id))
    await seeded.database.execute("update flow_run set queue_time = now() - interval '1 second'")
    await get_runs_in_queue(seeded.database, replace(seeded.caller, agent_id=agent_id), GetRunsInQueue())


async def claim_again(seeded: Seed) -> None:
    await seeded.run()
    agent_id = await seeded.agent()
    for _ in range(2):
        await seeded.database.execute("update flow_run set queue_time = now() - interval '1 second'")
        await claim_flow_runs(seeded.database, seeded.caller, ClaimFlowRuns(agent_id))


async def reap(seeded: Seed) -> None:
    await receive_heartbeats(seeded.database, LivenessRules())
    run_id, process = await claimed(seeded)
    await set_state(seeded, run_id, "Running", process)
    await cancel_flow_run(seeded.database, seeded.caller, run_id)
    await silent(seeded.database)
    assert (await reap_dead_runs(seeded.database, LivenessRules())).cancelled == 1


async def resurrect(seeded: Seed) -> None:
    await receive_heartbeats(seeded.database, LivenessRules())
    run_id, process = await claimed(seeded)
    await set_state(seeded, run_id, "Running", process)
    for rules in (LivenessRules(), LivenessRules(attempts=1)):
        await silent(seeded.database)
        await resurrect_lost_runs(seeded.database, rules)
        await set_state(seeded, run_id, "Running")


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (create, [(None, "Scheduled")]),
        (schedule, [(None, "Scheduled")] * 10),
        (claim, [(None, "Scheduled"), ("Scheduled", "Submitted")]),
        (
            write_states,
            [(None, "Scheduled"), ("Scheduled", "Submitted"), ("Submitted", "Running"), ("Running", "Success")],
        ),
        (write_many_states, [(None, "Scheduled")] * 5 + [("Scheduled", "Failed")] * 5),
        (
            cancel,
            [
                (None, "Scheduled"),
                ("Scheduled", "Cancelled"),
                (None, "Scheduled"),
                ("Scheduled", "Submitted"),
                ("Submitted", "Running"),
                ("Running", "Cancelling"),
            ],
        ),
        (end_a_lease, [(None, "Scheduled"), ("Scheduled", "Submitted"), ("Submitted", "Scheduled")]),
        (claim_again, [(None, "Scheduled"), ("Scheduled", "Submitted"), ("Submitted", "Submitted")]),
        (
            reap,
            [
                (None, "Scheduled"),
                ("Scheduled", "Submitted"),
                ("Submitted", "Running"),
                ("Running", "Cancelling"),
                ("Cancelling", "Cancelled"),
            ],
        ),
        (
            resurrect,
            [
                (None, "Scheduled"),
                ("Scheduled", "Submitted"),
                ("Submitted", "Running"),
                ("Running", "Scheduled"),
                ("Scheduled", "Running"),
                ("Running", "Failed"),
            ],
        ),
    ],
)
async def test_every_way_to_write_a_state_leaves_an_event(
    database: Database, act: Callable[[Seed], Coroutine[Any, Any, None]], expected: list[tuple[str | None, str]]
) -> None:
    seeded = await seed(database)
    await hook_of(seeded)
    await act(seeded)
    assert await changes(database) == expected
    stored = await database.fetch("select id from flow_run_state order by seq")
    assert [row["id"] for row in stored] == [row["event_id"] for row in await outbox(database)], "none is left out"
