"""The outbox of cloud hooks: every way to write a state fills it, and what becomes of what is in it."""

import asyncio
import contextlib
import hashlib
import hmac
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import orjson
import pytest
from hook_receivers import OK, Receiver, receiver, status
from seeds import Seed, seed, serialized_flow, stranger

from flowstead_server.db import Database
from flowstead_server.domain.addresses import AddressRules
from flowstead_server.domain.caller import Caller
from flowstead_server.domain.hook_rules import HookRules
from flowstead_server.domain.hooks import HookRequest
from flowstead_server.domain.liveness import LivenessRules
from flowstead_server.domain.states import STATE_NAMES
from flowstead_server.orchestration.cancellation import cancel_flow_run
from flowstead_server.orchestration.deletions import delete_flow_run, delete_tenant
from flowstead_server.orchestration.flows import CreateFlow, create_flow
from flowstead_server.orchestration.hook_deliveries import (
    Delivered,
    Forgotten,
    HookDeliverer,
    forget_old_deliveries,
    retry_cloud_hook_delivery,
)
from flowstead_server.orchestration.hook_sender import DeliveryError, HookSender
from flowstead_server.orchestration.hooks import (
    CreateCloudHook,
    create_cloud_hook,
    delete_cloud_hook,
    set_cloud_hook_active,
)
from flowstead_server.orchestration.liveness import reap_dead_runs, receive_heartbeats, resurrect_lost_runs
from flowstead_server.orchestration.projects import CreateProject, create_project
from flowstead_server.orchestration.queue import ClaimFlowRuns, GetRunsInQueue, claim_flow_runs, get_runs_in_queue
from flowstead_server.orchestration.states import SetFlowRunState, set_flow_run_states
from flowstead_server.store import hook_deliveries as store

EVERYTHING = sorted(STATE_NAMES)
RULES = HookRules(
    addresses=AddressRules(allow_private=True), first_pause=timedelta(seconds=100), longest_pause=timedelta(hours=1)
)


async def test_whoever_waits_for_deliveries_can_be_stopped_at_any_point(database: Database) -> None:
    deliverer = HookDeliverer(database)
    for steps in range(12):
        waiting = asyncio.create_task(deliverer._wait(0.0))
        for _ in range(steps):
            await asyncio.sleep(0)
        was_under_way = waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled() == was_under_way


async def hook_of(seeded: Seed, kind: str = "PREFECT_MESSAGE", states: list[str] | None = None, **members: Any) -> UUID:
    request = CreateCloudHook(kind, states or EVERYTHING, **members)
    return await create_cloud_hook(seeded.database, seeded.caller, request)


async def web_hook(seeded: Seed, other: Receiver, **members: Any) -> UUID:
    seeded.database.part(HookSender).rules = RULES
    return await hook_of(seeded, "WEBHOOK", config={"url": other.url}, **members)


async def set_state(seeded: Seed, run_id: UUID, name: str, caller: Caller | None = None, **members: Any) -> Any:
    state = {"type": name, **members}
    (answer,) = await set_flow_run_states(seeded.database, caller or seeded.caller, [SetFlowRunState(run_id, state)])
    return answer


async def outbox(database: Database) -> list[dict[str, Any]]:
    await store.spread(database)
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


async def deliver(database: Database, rules: HookRules = RULES) -> Delivered:
    return await deliverer(database, rules).deliver_due(60)


async def take(database: Database) -> list[store.Delivery]:
    """Take what is due and do nothing with it, as a server that is killed."""
    await store.spread(database)
    return await store.take(database, {}, 4, 10, timedelta(seconds=60))


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
        seeded.database, seeded.caller, [SetFlowRunState(run, {"type": "Failed"}) for run in runs]
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


async def test_only_hooks_that_listen_are_told(database: Database) -> None:
    seeded = await seed(database, version_group_id="ours")
    other = Seed(database, await stranger(database), seeded.project_id, seeded.flow_id)
    group = await database.fetch_value("select version_group_id from flow where id = $1", seeded.flow_id)
    listening = {
        await hook_of(seeded, name="all"),
        await hook_of(seeded, states=["scheduled"], name="one state"),
        await hook_of(seeded, version_group_id=group, name="one flow"),
    }
    off = await hook_of(seeded, name="off")
    await set_cloud_hook_active(database, seeded.caller, off, active=False)
    await hook_of(seeded, states=["Failed"], name="other state")
    await hook_of(seeded, version_group_id="other", name="other flow")
    await hook_of(other, name="other tenant")
    run_id = await seeded.run(flow_run_name="mine")
    rows = await outbox(database)
    assert {row["cloud_hook_id"] for row in rows} == listening
    assert {row["tenant_id"] for row in rows} == {seeded.caller.tenant_id}
    (state,) = await database.fetch("select id, timestamp from flow_run_state where flow_run_id = $1", run_id)
    assert {row["event_id"] for row in rows} == {state["id"]}
    flow = await database.fetch_row("select * from flow where id = $1", seeded.flow_id)
    event = rows[0]["event"]
    start = event["state"].pop("start_time")
    for stamp in (event.pop("timestamp"), event["state"].pop("timestamp")):
        assert datetime.fromisoformat(stamp) == state["timestamp"]
    assert event == {
        "id": str(state["id"]),
        "type": "FlowRunStateChange",
        "is_test_event": False,
        "flow_run": {"id": str(run_id), "name": "mine", "version": 0, "state": None},
        "state": {
            "id": str(state["id"]),
            "version": 1,
            "state": "Scheduled",
            "message": "Flow run scheduled.",
            "serialized_state": {"type": "Scheduled", "message": "Flow run scheduled.", "start_time": start},
            "flow_run_id": str(run_id),
        },
        "flow": {
            "id": str(seeded.flow_id),
            "name": "hello-world",
            "flow_group_id": str(flow["flow_group_id"]),
            "version_group_id": group,
        },
        "tenant": {"id": str(seeded.caller.tenant_id), "slug": "default"},
    }


async def test_a_state_that_is_not_written_leaves_no_event(database: Database) -> None:
    seeded = await seed(database)
    await hook_of(seeded)
    run_id = await seeded.run()
    await set_state(seeded, run_id, "Success")
    await set_state(seeded, run_id, "Running")  # refused
    await seeded.run(idempotency_key="x")
    await seeded.run(idempotency_key="x")
    with contextlib.suppress(ZeroDivisionError):
        async with database.transaction() as transaction:
            await transaction.execute(
                "insert into flow_run_state (tenant_id, flow_run_id, state, serialized_state) "
                "select tenant_id, id, 'Failed', '{}' from flow_run"
            )
            raise ZeroDivisionError
    assert await changes(database) == [(None, "Scheduled"), ("Scheduled", "Success"), (None, "Scheduled")]


# -- what becomes of it ------------------------------------------------------------------------------------------------


async def test_an_event_arrives_once_and_is_signed(database: Database) -> None:
    seeded = await seed(database)
    async with receiver() as other:
        await web_hook(seeded, other, secret="s3cret")
        run_id = await seeded.run()
        await set_state(seeded, run_id, "Failed", message="boom")
        assert await deliver(database) == Delivered(delivered=2)
        assert await deliver(database) == Delivered()
        assert other.states == ["Scheduled", "Failed"]
        for (head, _), body, event in zip(other.requests, other.bodies, other.events, strict=True):
            headers = dict(line.split(": ", 1) for line in head.strip().splitlines()[1:])
            assert headers["x-prefect-event-id"] == event["id"]
            moment, digest = (part.split("=", 1)[1] for part in headers["x-flowstead-signature"].split(","))
            assert hmac.new(b"s3cret", f"{moment}.".encode() + body, hashlib.sha256).hexdigest() == digest
            assert abs(time.time() - int(moment)) < 60
            assert headers["host"] == other.url.split("/")[2]
    for row in await outbox(database):
        assert (row["state"], row["attempts"], row["sent"], row["last_error"]) == ("Delivered", 1, 1, None)
        assert row["next_attempt"] is row["lease"] is None


async def test_a_message_is_stored_exactly_once(database: Database) -> None:
    seeded = await seed(database)
    await hook_of(seeded)
    await seeded.run()
    (taken,) = await take(database)
    await make_due(database)
    assert await deliver(database) == Delivered(delivered=1)
    assert await store.delivered(database, taken, 1) is False, "the first sender comes too late"
    (message,) = await database.fetch("select type, text, content from message")
    assert message["type"] == "CLOUD_HOOK"
    assert "State: Scheduled" in message["text"]
    assert orjson.loads(message["content"])["event"]["id"] == str((await outbox(database))[0]["event_id"])


async def test_failures_are_tried_again_with_pauses_and_given_up_in_the_end(database: Database) -> None:
    seeded = await seed(database)
    rules = replace(RULES, attempts=3)
    async with receiver(status(503)) as other:
        await web_hook(seeded, other)
        await seeded.run()
        pauses = []
        for attempt in (1, 2):
            assert await deliver(database, rules) == Delivered(failed=1)
            (row,) = await outbox(database)
            assert (row["state"], row["attempts"], row["lease"]) == ("Waiting", attempt, None)
            assert row["last_error"] == "The hook's receiver refused the event with the status 503."
            pauses.append((row["next_attempt"] - row["last_attempt"]).total_seconds())
            assert await deliver(database, rules) == Delivered(), "not before its time"
            await make_due(database)
        assert 50 <= pauses[0] <= 101
        assert 150 <= pauses[1] <= 301
        assert await deliver(database, rules) == Delivered(dead=1)
        (row,) = await outbox(database)
        assert (row["state"], row["next_attempt"]) == ("Dead", None)
        assert await deliver(database, rules) == Delivered()

        other.answer = OK
        assert not await retry_cloud_hook_delivery(database, await stranger(database), row["id"])
        assert await retry_cloud_hook_delivery(database, seeded.caller, row["id"])
        assert await deliver(database, rules) == Delivered(delivered=1)
        assert not await retry_cloud_hook_delivery(database, seeded.caller, row["id"])
        assert len({event["id"] for event in other.events}) == 1, "the same id each time"
        assert len(other.events) == 4
    assert (await outbox(database))[0]["attempts"] == 1


async def test_a_receiver_may_say_when_it_wants_to_be_asked_again(database: Database) -> None:
    seeded = await seed(database)
    async with receiver(status(429, "Retry-After: 1000")) as other:
        await web_hook(seeded, other)
        await seeded.run()
        await deliver(database)
    (row,) = await outbox(database)
    assert 999 <= (row["next_attempt"] - row["last_attempt"]).total_seconds() <= 1010


async def test_a_run_is_told_in_order_until_one_event_has_failed_three_times(database: Database) -> None:
    seeded = await seed(database)
    async with receiver(status(500)) as other:
        await web_hook(seeded, other)
        run_id = await seeded.run()
        await set_state(seeded, run_id, "Running")
        for attempt in (1, 2):
            assert await deliver(database) == Delivered(failed=1)
            assert other.states == ["Scheduled"] * attempt
            if attempt == 1:
                await set_state(seeded, run_id, "Failed")
            first, *others = await outbox(database)
            assert {row["next_attempt"] for row in others} == {first["next_attempt"]}, "what it holds up waits for it"
            await make_due(database)
        other.answer = lambda body: status(500 if body["event"]["state"]["state"] == "Scheduled" else 200)
        assert await deliver(database) == Delivered(failed=1, delivered=2)
        assert other.states == ["Scheduled"] * 3 + ["Running", "Failed"]
        await make_due(database)
        other.answer = OK
        assert await deliver(database) == Delivered(delivered=1)


async def test_a_receiver_that_hangs_delays_nobody_else(database: Database) -> None:
    seeded = await seed(database)
    rules = replace(RULES, timeout=300.0)
    async with receiver(None) as hanging, receiver() as good:
        slow, fast = await web_hook(seeded, hanging), await web_hook(seeded, good)
        for _ in range(40):
            await seeded.run()
        sender = deliverer(database, rules)
        done = await sender.deliver_due(0.5)
        while done.delivered < 40:
            more = await sender.deliver_due(0.5)
            done = Delivered(done.delivered + more.delivered, done.failed + more.failed)
        assert (done, len(good.events)) == (Delivered(delivered=40), 40)
        assert good.most_at_once <= 4
        await hanging.wait_for(4)
        assert hanging.most_at_once == len(hanging.requests) == 4, "its share, and no more"
        # a round ends although calls are under way; what comes meanwhile is sent within it
        round_ = asyncio.create_task(sender.deliver_due(60))
        await seeded.run()
        sender.look()
        await good.wait_for(41)
        assert not round_.done()
        hanging.answer = OK
        hanging.released.set()
        await hanging.wait_for(41)
        await round_
    rows = await outbox(database)
    assert {row["state"] for row in rows if row["cloud_hook_id"] == fast} == {"Delivered"}
    # the four that were closed without an answer are tried again
    assert sum(row["state"] == "Waiting" for row in rows if row["cloud_hook_id"] == slow) == 4


async def test_what_a_dead_sender_held_is_sent_again(database: Database) -> None:
    seeded = await seed(database)
    async with receiver() as other:
        await web_hook(seeded, other)
        await seeded.run()
        (taken,) = await take(database)
        assert await deliver(database) == Delivered(), "its lease holds"
        await make_due(database)
        assert await deliver(database) == Delivered(delivered=1)
        await store.failed(database, taken, "too late", 0, timedelta(seconds=1))
        (row,) = await outbox(database)
        assert (row["state"], row["attempts"], row["last_error"]) == ("Delivered", 2, None)

        await seeded.run()
        for _ in range(RULES.attempts):
            await take(database)
            await make_due(database)
        assert await deliver(database) == Delivered(dead=1), "it seems to kill whoever sends it"
        assert len(other.events) == 1


async def test_stopping_lets_what_is_under_way_end(database: Database) -> None:
    seeded = await seed(database)
    async with receiver() as other:
        await web_hook(seeded, other)
        await seeded.run()
        sender = deliverer(database)
        round_ = asyncio.create_task(sender.deliver_due(60))
        await other.wait_for(1)
        round_.cancel()
        await sender.close()
    assert [row["state"] for row in await outbox(database)] == ["Delivered"]
    assert not sender.busy


async def test_many_servers_tell_everything_once_and_in_order_while_states_are_written(database: Database) -> None:
    seeded = await seed(database)
    seen: Counter[str] = Counter()
    accepted: list[dict[str, Any]] = []

    def answer(body: Any) -> bytes:
        """Refuse the first attempt of every third event, and the second one of every ninth."""
        event = body["event"]
        seen[event["id"]] += 1
        if int(event["id"][-4:], 16) % 3 ** seen[event["id"]] == 0 and seen[event["id"]] < 3:
            return status(500)
        accepted.append(event)
        return OK

    rules = replace(RULES, first_pause=timedelta(milliseconds=20))
    names = ["Submitted", "Running", "Success"]
    async with receiver(answer) as other, contextlib.AsyncExitStack() as stack:
        await web_hook(seeded, other)
        servers = [
            deliverer(await stack.enter_async_context(await Database.connect(database.dsn, max_connections=4)), rules)
            for _ in range(3)
        ]
        totals: Counter[str] = Counter()

        async def write() -> None:
            for _ in range(5):
                run_id = await seeded.run()
                for name in names:
                    await set_state(seeded, run_id, name)

        async def serve(server: HookDeliverer) -> None:
            while totals["delivered"] < 6 * 5 * 4:
                done = await server.deliver_due()
                totals.update(delivered=done.delivered, failed=done.failed)

        async with asyncio.timeout(60):
            await asyncio.gather(*(write() for _ in range(6)), *(serve(server) for server in servers))
    assert totals["delivered"] == len(accepted) == len({event["id"] for event in accepted}) == 120
    assert totals["failed"] == len(other.requests) - 120 > 10
    told: dict[str, list[str]] = {}
    for event in accepted:
        told.setdefault(event["flow_run"]["id"], []).append(event["state"]["state"])
    assert list(told.values()) == [["Scheduled", *names]] * 30


async def test_hooks_that_are_off_keep_what_waits_and_deleted_ones_take_it_along(database: Database) -> None:
    seeded = await seed(database)
    async with receiver() as other:
        kept, gone = await web_hook(seeded, other), await web_hook(seeded, other)
        await seeded.run()
        for hook_id in (kept, gone):
            await set_cloud_hook_active(database, seeded.caller, hook_id, active=False)
        assert await deliver(database) == Delivered()
        await seeded.run()
        assert len(await outbox(database)) == 2, "what happens while a hook is off is never told"
        assert await delete_cloud_hook(database, seeded.caller, gone)
        assert [row["cloud_hook_id"] for row in await outbox(database)] == [kept]
        await set_cloud_hook_active(database, seeded.caller, kept, active=True)
        assert await deliver(database) == Delivered(delivered=1)
        assert await delete_cloud_hook(database, seeded.caller, kept)
    assert await database.fetch_value("select count(*) from cloud_hook_event") == 0


async def test_deliveries_are_made_by_one_process_at_a_time_for_hooks_that_are_there(database: Database) -> None:
    seeded = await seed(database)
    gone, off, kept = [await hook_of(seeded) for _ in range(3)]
    run_id = await seeded.run()
    await delete_cloud_hook(database, seeded.caller, gone)
    await set_cloud_hook_active(database, seeded.caller, off, active=False)
    async with database.transaction() as other_server:
        assert await store.spread(other_server) == 1
        await set_state(seeded, run_id, "Running")
        assert await store.spread(database) == 0, "a later event must not get ahead"
    assert await store.spread(database) == 1
    assert [row["cloud_hook_id"] for row in await outbox(database)].count(kept) == 2
    assert {row["cloud_hook_id"] for row in await outbox(database)} == {off, kept}
    await set_state(seeded, run_id, "Failed")
    for hook_id in (off, kept):
        await delete_cloud_hook(database, seeded.caller, hook_id)
    assert await store.spread(database) == 1
    assert await database.fetch_value("select count(*) from cloud_hook_event") == 0


async def test_what_a_deleted_run_did_is_told_all_the_same(database: Database) -> None:
    seeded = await seed(database)
    async with receiver() as other:
        await web_hook(seeded, other)
        run_id = await seeded.run(flow_run_name="short-lived")
        assert await delete_flow_run(database, seeded.caller, run_id)
        assert await deliver(database) == Delivered(delivered=1)
    assert other.events[0]["flow_run"]["name"] == "short-lived"


async def test_what_is_old_is_forgotten(database: Database) -> None:
    seeded = await seed(database)
    tenant, run_id = seeded.caller.tenant_id, await seeded.run()
    on, off, lost = await hook_of(seeded), await hook_of(seeded), UUID(int=1)
    await set_cloud_hook_active(database, seeded.caller, off, active=False)
    cases = [
        (on, "Delivered", 0.9, True),
        (on, "Delivered", 1.1, False),
        (on, "Dead", 29, True),
        (on, "Dead", 31, False),
        (on, "Waiting", 99, True),
        (off, "Waiting", 29, True),
        (off, "Waiting", 31, False),
        (lost, "Waiting", 0, False),
    ]
    for number, (hook_id, state, days, _) in enumerate(cases):
        await database.execute(
            "insert into cloud_hook_event (id, tenant_id, flow_run_id, seq, event) values ($1, $2, $3, 1, '{}')",
            *(UUID(int=number), tenant, run_id),
        )
        await database.execute(
            "insert into cloud_hook_delivery (tenant_id, cloud_hook_id, flow_run_id, event_id, seq, state, "
            "next_attempt, last_attempt, created) select $1, $2, $3, $4, 1, $5::text, "
            "case when $5 = 'Waiting' then now() end, now() - $6::interval, now() - $6::interval",
            *(tenant, hook_id, run_id, UUID(int=number), state, timedelta(days=days)),
        )
    deliverer(database)
    async with database.transaction() as other_server:
        assert await store.lock_cleaning(other_server)
        assert await forget_old_deliveries(database) == Forgotten()
    assert await forget_old_deliveries(database) == Forgotten(delivered=1, dead=1, waiting=2)
    kept = {UUID(int=number) for number, case in enumerate(cases) if case[3]}
    assert {row["event_id"] for row in await outbox(database)} == kept
    assert {row["id"] for row in await database.fetch("select id from cloud_hook_event")} == kept
    assert await forget_old_deliveries(database) == Forgotten()


async def test_a_deleted_tenant_takes_its_outbox_along(database: Database) -> None:
    await seed(database)
    caller = await stranger(database)
    project_id = await create_project(database, caller, CreateProject("p"))
    flow_id = await create_flow(database, caller, CreateFlow(serialized_flow(), project_id))
    other = Seed(database, caller, project_id, flow_id)
    await hook_of(other)
    await other.run()
    assert len(await outbox(database)) == 1
    assert await delete_tenant(database, caller, caller.tenant_id, confirm=True)
    assert await database.fetch_value("select count(*) from cloud_hook_delivery") == 0


async def test_text_messages_that_arrived_are_not_sent_again(database: Database) -> None:
    seeded = await seed(database)
    config = {"account_sid": "a", "auth_token": "b", "messaging_service_sid": "c", "to": ["1", "2", "3"]}
    await hook_of(seeded, "TWILIO", config=config)
    await seeded.run()
    sender = deliverer(database)
    numbers: list[str] = []
    refused = {"2"}

    async def send(request: HookRequest) -> None:
        (number,) = parse_qs(request.body.decode())["To"]
        if number in refused:
            refused.clear()
            raise DeliveryError("no")
        numbers.append(number)

    database.part(HookSender).send = send  # type: ignore[method-assign] # the real one is not of this machine
    assert await sender.deliver_due(60) == Delivered(failed=1)
    await make_due(database)
    assert await sender.deliver_due(60) == Delivered(delivered=1)
    assert numbers == ["1", "2", "3"]


async def test_a_thousand_hooks_with_a_long_queue_are_served_fairly(database: Database) -> None:
    seeded = await seed(database)
    run_id = await seeded.run()
    await database.execute(
        "insert into cloud_hook (tenant_id, type, states) select $1, 'WEBHOOK', '[\"FAILED\"]' "
        "from generate_series(1, 1000)",
        seeded.caller.tenant_id,
    )
    await set_state(seeded, run_id, "Failed")
    assert await store.spread(database) == 1
    assert await database.fetch_value("select count(*) from cloud_hook_delivery") == 1000
    assert await database.fetch_value("select count(*) from cloud_hook_event") == 1
    await database.execute(
        "insert into cloud_hook_delivery (tenant_id, cloud_hook_id, flow_run_id, event_id, seq, next_attempt) "
        "select d.tenant_id, d.cloud_hook_id, gen_random_uuid(), d.event_id, d.seq + n, now() - interval '1 hour' "
        "from (select * from cloud_hook_delivery order by cloud_hook_id limit 1) d, generate_series(1, 20000) n"
    )
    await database.execute("analyze")
    hooks: Counter[UUID] = Counter()
    for _ in range(18):
        taken = await store.take(database, {}, 4, 64, timedelta(seconds=60))
        assert max(Counter(delivery.hook_id for delivery in taken).values()) <= 4
        hooks.update(delivery.hook_id for delivery in taken)
    assert len(hooks) == 1000
    assert await store.oldest_due(database) >= 3599
    plan = await database.fetch_value(
        "explain (analyze, format json) " + store._SQL["take"], "[]", 4, 64, timedelta(seconds=60)
    )
    nodes = list(plan_nodes(orjson.loads(plan)[0]["Plan"]))
    scans = [node for node in nodes if node.get("Relation Name") == "cloud_hook_delivery"]
    assert all("Index" in node["Node Type"] for node in scans if node["Node Type"] != "ModifyTable"), plan
    assert max(node["Actual Rows"] for node in scans) <= 64, "no scan walks through the queue"


def plan_nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from plan_nodes(child)
