"""claim_flow_runs, leases, get_runs_in_queue, runs_ready."""

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from seeds import Seed, seed, stranger

from flowstead_server.db import Database
from flowstead_server.domain.caller import Caller
from flowstead_server.domain.errors import BadInputError, NotFoundError, StaleWriteError
from flowstead_server.domain.labels import may_take
from flowstead_server.orchestration.cancellation import cancel_flow_run
from flowstead_server.orchestration.limits import update_flow_concurrency_limit
from flowstead_server.orchestration.queue import (
    ClaimFlowRuns,
    Claims,
    ExtendedClaims,
    ExtendFlowRunClaims,
    GetRunsInQueue,
    claim_flow_runs,
    extend_flow_run_claims,
    get_runs_in_queue,
    runs_ready,
)
from flowstead_server.orchestration.states import (
    SetFlowRunState,
    SetTaskRunState,
    set_flow_run_states,
    set_task_run_states,
)
from flowstead_server.store import queue as store


async def claim(seeded: Seed, agent_id: UUID, **members: Any) -> Claims:
    return await claim_flow_runs(seeded.database, seeded.caller, ClaimFlowRuns(agent_id, **members))


def ids(claims: Claims) -> list[UUID]:
    return [run.id for run in claims.flow_runs]


async def set_flow(seeded: Seed, run_id: UUID, name: str, caller: Caller | None = None, **members: Any) -> None:
    (answer,) = await set_flow_run_states(
        seeded.database, caller or seeded.caller, [SetFlowRunState(run_id, {"type": name, **members})]
    )
    if isinstance(answer, Exception):
        raise answer


async def expire_leases(database: Database) -> None:
    await database.execute("update flow_run set queue_time = now() where queue_time > now() and state <> 'Scheduled'")


async def forget_heartbeats(database: Database) -> None:
    await database.execute("update flow_run_heartbeat set heartbeat = now() - interval '1 hour'")


def soon(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


async def test_claim_hands_out_what_the_agent_needs(database: Database) -> None:
    seeded = await seed(database)
    run_id = await seeded.run(parameters={"a": 1}, run_config={"type": "LocalRun"}, flow_run_name="mine")
    agent_id = await seeded.agent()
    (run,) = (await claim(seeded, agent_id, lease_seconds=60)).flow_runs
    assert (run.id, run.name, run.version, run.restart) == (run_id, "mine", 2, False)
    assert orjson.loads(run.parameters or "") == {"a": 1}
    assert orjson.loads(run.run_config or "") == {"type": "LocalRun"}
    assert orjson.loads(run.storage or "")["type"] == "Local"
    assert (run.flow_id, run.flow_name, run.core_version) == (seeded.flow_id, "hello-world", "1.4.1")
    assert run.lease_expires - run.start_time == timedelta(seconds=60)
    row = await database.fetch_row("select * from flow_run where id = $1", run_id)
    assert row is not None
    assert (row["state"], row["state_message"], row["agent_id"]) == ("Submitted", "Submitted for execution", agent_id)
    assert (row["claim_token"], row["queue_time"], row["state_start_time"]) == (
        run.claim_token,
        run.lease_expires,
        None,
    )
    state = orjson.loads(row["serialized_state"])
    assert (state["type"], state["state"]["type"]) == ("Submitted", "Scheduled")
    history = await database.fetch("select state, version from flow_run_state order by seq")
    assert [tuple(entry) for entry in history] == [("Scheduled", 1), ("Submitted", 2)]
    assert await database.fetch_value("select count(*) from flow_run_heartbeat where flow_run_id = $1", run_id) == 1
    assert ids(await claim(seeded, agent_id)) == []


async def test_claim_notes_that_the_agent_asked_and_refuses_unknown_ones(database: Database) -> None:
    seeded = await seed(database)
    agent_id = await seeded.agent()
    await seeded.run()
    await database.execute("update agent set last_queried = null")
    other = await stranger(database)
    for caller, unknown in ((seeded.caller, uuid4()), (other, agent_id)):
        with pytest.raises(NotFoundError, match="is not registered"):
            await claim_flow_runs(database, caller, ClaimFlowRuns(unknown))
    assert await database.fetch_value("select last_queried from agent") is None
    assert len(ids(await claim(seeded, agent_id))) == 1
    assert await database.fetch_value("select last_queried from agent") is not None


@pytest.mark.parametrize("members", [{"limit": 0}, {"limit": 101}, {"lease_seconds": 4}, {"lease_seconds": 3601}])
async def test_limits_of_a_claim(database: Database, members: dict[str, int]) -> None:
    seeded = await seed(database)
    with pytest.raises(BadInputError):
        await claim(seeded, await seeded.agent(), **members)


async def test_labels_decide_before_the_limit(database: Database) -> None:
    seeded = await seed(database)
    sets: list[list[str]] = [[], ["a"], ["b"], ["a", "b"], ["b", "c"]]
    runs = {(await seeded.run(labels=labels)): labels for labels in sets * 3}
    agent_id = await seeded.agent()
    for agent_labels in ([], ["a"], ["c"], ["a", "b"], ["a", "b", "c"]):
        expected = {run for run, labels in runs.items() if may_take(labels, agent_labels)}
        polled = await get_runs_in_queue(database, seeded.caller, GetRunsInQueue(labels=agent_labels))
        assert set(polled) == expected, agent_labels
        ready = await runs_ready(database, seeded.caller, agent_labels)
        assert ready.waiting == len(expected)
        claimed = ids(await claim(seeded, agent_id, labels=agent_labels, limit=100))
        assert set(claimed) == expected, agent_labels
        for run in claimed:
            await set_flow(seeded, run, "Scheduled")


async def test_earliest_first_across_label_sets(database: Database) -> None:
    seeded = await seed(database)
    runs = [
        await seeded.run(labels=[label], scheduled_start_time=soon(-minutes * 60))
        for minutes, label in ((1, "a"), (3, "b"), (2, "a"), (5, "b"), (4, "a"))
    ]
    agent_id = await seeded.agent()
    order = [runs[3], runs[4], runs[1], runs[2], runs[0]]
    assert ids(await claim(seeded, agent_id, labels=["a", "b"], limit=3)) == order[:3]
    assert ids(await claim(seeded, agent_id, labels=["a", "b"], limit=3)) == order[3:]


async def test_future_runs_are_claimed_up_to_a_minute_ahead(database: Database) -> None:
    seeded = await seed(database)
    near, far = soon(20), soon(3600)
    near_run = await seeded.run(scheduled_start_time=near)
    far_run = await seeded.run(scheduled_start_time=far)
    agent_id = await seeded.agent()
    claims = await claim(seeded, agent_id)
    assert (ids(claims), claims.next_start_time) == ([], near)
    claims = await claim(seeded, agent_id, limit=5, before=soon(7200), lease_seconds=30)
    (run,) = claims.flow_runs
    assert (run.id, run.start_time, run.lease_expires) == (near_run, near, near + timedelta(seconds=30))
    assert claims.next_start_time == far
    # the past as a bound means now, and a bound without zone is UTC
    for before in (soon(-3600), soon(0).replace(tzinfo=None)):
        assert ids(await claim(seeded, agent_id, before=before)) == []
    assert await database.fetch_value("select state from flow_run where id = $1", far_run) == "Scheduled"


async def test_a_prefetching_claim_does_not_take_over_leases_before_they_end(database: Database) -> None:
    seeded = await seed(database)
    agent_id = await seeded.agent()
    run_id = await seeded.run()
    assert ids(await claim(seeded, agent_id, lease_seconds=10)) == [run_id]
    assert ids(await claim(seeded, agent_id, before=soon(60), limit=10)) == []


async def test_lease_that_ends_returns_the_run_and_fences_its_first_agent(database: Database) -> None:
    seeded = await seed(database)
    agent_id = await seeded.agent()
    run_id = await seeded.run()
    (first,) = (await claim(seeded, agent_id)).flow_runs
    await expire_leases(database)
    (second,) = (await claim(seeded, agent_id)).flow_runs
    assert (second.id, second.version) == (run_id, 3)
    assert second.claim_token != first.claim_token
    state = orjson.loads(await database.fetch_value("select serialized_state from flow_run"))
    assert state["state"]["type"] == "Scheduled"
    with pytest.raises(StaleWriteError):
        await set_flow(seeded, run_id, "Running", replace(seeded.caller, claim_token=first.claim_token))
    await set_flow(seeded, run_id, "Running", replace(seeded.caller, claim_token=second.claim_token))
    await expire_leases(database)
    assert ids(await claim(seeded, agent_id)) == []


async def test_leases_can_be_extended_and_lost(database: Database) -> None:
    seeded = await seed(database)
    agent_id = await seeded.agent()
    runs = [await seeded.run() for _ in range(6)]
    claims = {run.id: run.claim_token for run in (await claim(seeded, agent_id, limit=10)).flow_runs}
    waiting, running, finished, cancelled, fenced, reclaimed = runs
    holder = {run: replace(seeded.caller, claim_token=token) for run, token in claims.items()}
    await set_flow(seeded, running, "Running", holder[running])
    await set_flow(seeded, finished, "Running", holder[finished])
    await set_flow(seeded, finished, "Success", holder[finished])
    await cancel_flow_run(database, seeded.caller, cancelled)
    await set_flow(seeded, fenced, "Scheduled")
    await database.execute("update flow_run set claim_token = gen_random_uuid() where id = $1", reclaimed)
    request = ExtendFlowRunClaims(agent_id, list(claims.items()), 600)
    extended = await extend_flow_run_claims(database, seeded.caller, request)
    assert set(extended.lost) == {finished, cancelled, fenced, reclaimed}
    assert extended.cancelling == []
    expires = await database.fetch_value("select queue_time from flow_run where id = $1", waiting)
    assert expires == extended.lease_expires
    assert soon(590) < expires < soon(610)
    assert await database.fetch_value("select queue_time from flow_run where id = $1", running) is None
    assert await extend_flow_run_claims(database, seeded.caller, ExtendFlowRunClaims(agent_id, [])) == ExtendedClaims(
        None, [], []
    )
    stranger_ = await stranger(database)
    with pytest.raises(NotFoundError):
        await extend_flow_run_claims(database, stranger_, request)
    with pytest.raises(NotFoundError):
        await extend_flow_run_claims(database, seeded.caller, replace(request, agent_id=uuid4()))


async def test_a_claim_is_not_lost_by_starting_while_it_is_extended(database: Database) -> None:
    seeded = await seed(database)
    agent_id = await seeded.agent()
    run_id = await seeded.run()
    (run,) = (await claim(seeded, agent_id)).flow_runs
    request = ExtendFlowRunClaims(agent_id, [(run_id, run.claim_token)], 600)
    async with database.transaction() as transaction:
        await transaction.execute("update flow_run set state = 'Running', queue_time = null where id = $1", run_id)
        extending = asyncio.create_task(extend_flow_run_claims(database, seeded.caller, request))
        # it has read the row as it was, and waits for the end of this transaction
        await eventually_waits(database)
    extended = await extending
    assert extended.lost == []
    assert await database.fetch_value("select queue_time from flow_run where id = $1", run_id) is None


async def eventually_waits(database: Database) -> None:
    """Return when a statement of this database waits for a lock."""
    statement = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    async with asyncio.timeout(30):
        while not await database.fetch_value(statement):  # noqa: ASYNC110 - a lock of PostgreSQL sets no event
            await asyncio.sleep(0.01)


async def test_running_run_with_a_due_task_run_is_restarted_when_its_process_is_silent(database: Database) -> None:
    seeded = await seed(database)
    agent_id = await seeded.agent()
    run_id = await seeded.run()
    (first,) = (await claim(seeded, agent_id)).flow_runs
    holder = replace(seeded.caller, claim_token=first.claim_token)
    await set_flow(seeded, run_id, "Running", holder)
    task_run_id = (await seeded.task_run_ids(run_id))[0]
    state = {"type": "Retrying", "start_time": soon(-10).isoformat()}
    await set_task_run_states(database, holder, [SetTaskRunState(task_run_id, state)])
    # a process that lives retries its task itself
    assert ids(await claim(seeded, agent_id)) == []
    assert await get_runs_in_queue(database, seeded.caller, GetRunsInQueue()) == []
    await forget_heartbeats(database)
    (second,) = (await claim(seeded, agent_id)).flow_runs
    assert (second.id, second.restart, second.version) == (run_id, True, first.version + 1)
    assert await database.fetch_value("select state from flow_run") == "Running"
    assert ids(await claim(seeded, agent_id)) == []
    with pytest.raises(StaleWriteError):
        await set_flow(seeded, run_id, "Success", holder)
    await set_flow(seeded, run_id, "Running", replace(seeded.caller, claim_token=second.claim_token))
    await set_flow(seeded, run_id, "Success", replace(seeded.caller, claim_token=second.claim_token))
    await forget_heartbeats(database)
    assert ids(await claim(seeded, agent_id)) == []


async def test_two_claims_never_get_the_same_run(database: Database, database_dsn: str) -> None:
    seeded = await seed(database)
    await asyncio.gather(*(seeded.run(labels=[str(n % 3)]) for n in range(200)))
    agents = [await seeded.agent(str(n)) for n in range(8)]
    labels = ["0", "1", "2"]
    async with await Database.connect(database_dsn) as another_server:
        servers = [seeded, replace(seeded, database=another_server)]

        async def work(n: int) -> list[UUID]:
            taken: list[UUID] = []
            while batch := ids(await claim(servers[n % 2], agents[n], labels=labels, limit=n + 1)):
                taken += batch
            return taken

        taken = await asyncio.gather(*(work(n) for n in range(8)))
    every = [run for runs in taken for run in runs]
    assert len(every) == len(set(every)) == 200
    assert sum(1 for runs in taken if runs) > 1
    submitted = await database.fetch_value("select count(*) from flow_run_state where state = 'Submitted'")
    assert submitted == 200


async def test_mixed_fleet_starts_every_run_once(database: Database) -> None:
    seeded = await seed(database)
    await asyncio.gather(*(seeded.run() for _ in range(60)))
    agents = [await seeded.agent(str(n)) for n in range(4)]
    started: list[UUID] = []

    async def ours(n: int) -> None:
        while batch := ids(await claim(seeded, agents[n], limit=3)):
            started.extend(batch)

    async def of_1_4_1(n: int) -> None:
        caller = replace(seeded.caller, agent_id=agents[n])
        while batch := await get_runs_in_queue(database, caller, GetRunsInQueue(before=soon(10), labels=[])):
            for run in batch:
                state = {"type": "Submitted", "state": {"type": "Scheduled"}}
                (answer,) = await set_flow_run_states(database, caller, [SetFlowRunState(run, state, 1)])
                if not isinstance(answer, Exception):
                    started.append(run)

    await asyncio.gather(ours(0), of_1_4_1(1), ours(2), of_1_4_1(3))
    assert len(started) == len(set(started)) == 60


async def test_poll_keeps_what_it_hands_out_from_others_for_a_while(database: Database) -> None:
    seeded = await seed(database)
    runs = {await seeded.run() for _ in range(30)}
    agent = replace(seeded.caller, agent_id=await seeded.agent())
    await database.execute("update agent set last_queried = null")
    first = await get_runs_in_queue(database, agent, GetRunsInQueue(before=soon(10)))
    second = await get_runs_in_queue(database, agent, GetRunsInQueue(before=soon(10)))
    assert (len(first), len(second)) == (25, 5)
    assert {*first, *second} == runs
    assert await get_runs_in_queue(database, agent, GetRunsInQueue(before=soon(10))) == []
    assert await database.fetch_value("select last_queried from agent") is not None
    # prefetching claims respect it too, and it ends by itself
    assert ids(await claim(seeded, agent.agent_id or uuid4(), before=soon(60), limit=100)) == []
    await database.execute("update flow_run set queue_time = now()")
    assert len(await get_runs_in_queue(database, agent, GetRunsInQueue())) == 25


async def test_poll_without_a_known_agent_reads_only(database: Database) -> None:
    seeded = await seed(database)
    run_id = await seeded.run()
    for caller in (seeded.caller, replace(seeded.caller, agent_id=uuid4())):
        for _ in range(2):
            assert await get_runs_in_queue(database, caller, GetRunsInQueue(tenant_id=caller.tenant_id)) == [run_id]
    other = await stranger(database)
    assert await get_runs_in_queue(database, other, GetRunsInQueue()) == []
    assert await get_runs_in_queue(database, other, GetRunsInQueue(tenant_id=seeded.caller.tenant_id)) == []


async def test_poll_puts_back_runs_whose_claim_ended(database: Database) -> None:
    seeded = await seed(database)
    agent_id = await seeded.agent()
    run_id = await seeded.run()
    (first,) = (await claim(seeded, agent_id)).flow_runs
    await expire_leases(database)
    poller = replace(seeded.caller, agent_id=await seeded.agent("poller"))
    assert await get_runs_in_queue(database, poller, GetRunsInQueue()) == []
    row = await database.fetch_row("select * from flow_run where id = $1", run_id)
    assert row is not None
    assert (row["state"], row["claim_token"]) == ("Scheduled", None)
    assert "did not start it in time" in row["state_message"]
    assert await get_runs_in_queue(database, poller, GetRunsInQueue()) == [run_id]
    with pytest.raises(StaleWriteError):
        await set_flow(seeded, run_id, "Running", replace(seeded.caller, claim_token=first.claim_token))


async def test_ready_counts_up_to_a_hundred_and_knows_the_next_start(database: Database) -> None:
    seeded = await seed(database)
    assert (await runs_ready(database, seeded.caller, None)).waiting == 0
    start = soon(3600)
    await asyncio.gather(*(seeded.run() for _ in range(120)), seeded.run(scheduled_start_time=start))
    ready = await runs_ready(database, seeded.caller, [])
    assert (ready.waiting, ready.next_start_time) == (100, start)
    assert len(ready.label_set_ids) == 1
    assert (await runs_ready(database, await stranger(database), [])).waiting == 0


async def fill(database: Database, seeded: Seed, state: str, count: int, labels: int) -> None:
    await database.execute(
        """
        insert into label_set (tenant_id, labels)
        select $1, array['l' || n] from generate_series(0, $2::integer - 1) n
        on conflict do nothing
        """,
        seeded.caller.tenant_id,
        labels,
    )
    await database.execute(
        """
        insert into flow_run (
            tenant_id, flow_id, version, state, state_timestamp, state_start_time, serialized_state, label_set_id,
            queue_time
        )
        select
            $1, $2, 1, $3::text, now(), start, '{"type": "x"}', s.id, case when $3 = 'Scheduled' then start end
        from generate_series(1, $4::integer) n
        cross join lateral (select now() - interval '1 hour' + n * interval '1 ms' as start) t
        join label_set s on s.labels = array['l' || (n % $5::integer)]
        """,
        seeded.caller.tenant_id,
        seeded.flow_id,
        state,
        count,
        labels,
    )


async def test_claim_walks_waiting_runs_only(database: Database) -> None:
    seeded = await seed(database, tasks=0)
    agent_id = await seeded.agent()
    await fill(database, seeded, "Submitted", 100_000, 10)
    await fill(database, seeded, "Scheduled", 5_000, 10)
    await database.execute("analyze")
    labels = [f"l{n}" for n in range(10)]
    scans = await scans_of_a_claim(seeded, agent_id, labels)
    indexes = {"flow_run_queue_idx", "flow_run_pkey", "flow_run_restart_idx"}
    assert {scan["Index Name"] for scan in scans} == indexes
    # of runs under limits, of which there are none here
    assert all(not scan["Actual Loops"] for scan in scans if scan["Index Name"] == "flow_run_restart_idx")
    assert rows_seen(scans) < 300


async def test_claim_passes_over_lanes_without_a_free_slot(database: Database) -> None:
    seeded = await seed(database, tasks=0)
    agent_id = await seeded.agent()
    await fill(database, seeded, "Scheduled", 20_000, 10)
    await fill(database, seeded, "Submitted", 200, 10)
    await database.execute("analyze")
    for n, limit in enumerate((0, 0, 0, 0, 20, 20, 23, 1000)):
        await update_flow_concurrency_limit(database, seeded.caller, f"l{n}", limit)
    scans = await scans_of_a_claim(seeded, agent_id, [f"l{n}" for n in range(10)])
    assert all("Index" in scan["Node Type"] for scan in scans)
    assert rows_seen(scans) < 300
    claimed = (await claim(seeded, agent_id, labels=[f"l{n}" for n in range(10)], limit=50)).flow_runs
    rows = await database.fetch(
        "select s.labels[1] as label from flow_run r join label_set s on s.id = r.label_set_id where r.id = any($1)",
        [run.id for run in claimed],
    )
    counts = Counter(row["label"] for row in rows)
    assert (counts["l6"], set(counts), counts.total()) == (3, {"l6", "l7", "l8", "l9"}, 50)


async def scans_of_a_claim(seeded: Seed, agent_id: UUID, labels: list[str]) -> list[dict[str, Any]]:
    """Return how a claim looks at flow runs; it is rolled back."""
    arguments = [seeded.caller.tenant_id, agent_id, labels, None, 1, timedelta(seconds=30)]
    scans: list[dict[str, Any]] = []

    def walk(node: dict[str, Any]) -> None:
        if node.get("Relation Name") == "flow_run" and "Scan" in node["Node Type"]:
            scans.append(node)
        for child in node.get("Plans", ()):
            walk(child)

    with suppress(RolledBackError):
        async with seeded.database.transaction() as transaction:
            # as a server that has run for a while plans it: once for all values
            await transaction.execute("set local plan_cache_mode = force_generic_plan")
            (row,) = await transaction.fetch(f"explain (analyze, format json) {store._CLAIMS[4]}", *arguments)
            walk(orjson.loads(row[0])[0]["Plan"])
            raise RolledBackError
    return scans


class RolledBackError(Exception):
    """Ends a transaction without its changes."""


def rows_seen(scans: list[dict[str, Any]]) -> float:
    return sum(scan["Actual Rows"] * scan["Actual Loops"] + scan.get("Rows Removed by Filter", 0) for scan in scans)


async def test_an_agent_is_told_which_of_its_runs_to_stop(database: Database) -> None:
    """By the hint of its subscription and by the answer to its extension; another agent is not."""
    seeded = await seed(database)
    agent_id, other = await seeded.agent(), await seeded.agent("other")
    stopped, kept = await seeded.run(), await seeded.run()
    claims = {run.id: run.claim_token for run in (await claim(seeded, agent_id, limit=10)).flow_runs}
    for run in (stopped, kept):
        await set_flow(seeded, run, "Running", replace(seeded.caller, claim_token=claims[run]))
    assert (await cancel_flow_run(database, seeded.caller, stopped)).state == "Cancelling"
    extended = await extend_flow_run_claims(
        database, seeded.caller, ExtendFlowRunClaims(agent_id, list(claims.items()))
    )
    assert (extended.lost, extended.cancelling) == ([], [stopped])
    ready = await runs_ready(database, replace(seeded.caller, agent_id=agent_id), [])
    assert ready.cancelling == [stopped]
    assert (await runs_ready(database, replace(seeded.caller, agent_id=other), [])).cancelling == []
    assert (await runs_ready(database, seeded.caller, [])).cancelling == []
