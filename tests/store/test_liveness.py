"""The zombie reaper and Lazarus on the database (§5.8): who is found, what is written, and that it happens once."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
from seeds import Seed, seed

from flowstead_server.db import Database, load_statements
from flowstead_server.domain.caller import Caller
from flowstead_server.domain.errors import StaleWriteError
from flowstead_server.domain.liveness import LivenessRules
from flowstead_server.orchestration.flow_groups import set_heartbeat, set_lazarus
from flowstead_server.orchestration.flow_runs import update_flow_run_heartbeat
from flowstead_server.orchestration.limits import update_task_tag_limit
from flowstead_server.orchestration.liveness import (
    Reaped,
    Resurrected,
    reap_dead_runs,
    receive_heartbeats,
    resurrect_lost_runs,
)
from flowstead_server.orchestration.queue import (
    ClaimFlowRuns,
    ExtendFlowRunClaims,
    claim_flow_runs,
    extend_flow_run_claims,
)
from flowstead_server.orchestration.states import (
    SetFlowRunState,
    SetTaskRunState,
    set_flow_run_states,
    set_task_run_states,
)

RULES = LivenessRules()
NOBODY = Reaped(0, 0, 0, 0)
NONE = Resurrected(0, 0)


class Run:
    """A run that an agent of ours has claimed and whose process has begun."""

    def __init__(self, seeded: Seed, agent_id: UUID) -> None:
        self.seed = seeded
        self.agent_id = agent_id

    async def claim(self) -> "Run":
        (run,) = (await claim_flow_runs(self.seed.database, self.seed.caller, ClaimFlowRuns(self.agent_id))).flow_runs
        self.id, self.token = run.id, run.claim_token
        self.process = Caller(self.seed.caller.tenant_id, claim_token=self.token)
        return self

    async def set(self, name: str, caller: Caller | None = None, **members: Any) -> Any:
        (answer,) = await set_flow_run_states(
            self.seed.database, caller or self.process, [SetFlowRunState(self.id, {"type": name, **members})]
        )
        return answer

    async def set_task(self, index: int, name: str, caller: Caller | None = None, **members: Any) -> Any:
        task_run_id = (await self.seed.task_run_ids(self.id))[index]
        (answer,) = await set_task_run_states(
            self.seed.database, caller or self.process, [SetTaskRunState(task_run_id, {"type": name, **members})]
        )
        return answer

    async def beat(self) -> None:
        await update_flow_run_heartbeat(self.seed.database, self.process, self.id)

    async def row(self) -> Any:
        return await self.seed.database.fetch_row("select * from flow_run where id = $1", self.id)

    async def tasks(self) -> list[tuple[str, int]]:
        rows = await self.seed.database.fetch(
            "select r.state, r.version from task_run r join task t on t.id = r.task_id "
            "where flow_run_id = $1 order by t.slug",
            self.id,
        )
        return [(row["state"], row["version"]) for row in rows]

    async def history(self) -> list[str]:
        rows = await self.seed.database.fetch(
            "select state from flow_run_state where flow_run_id = $1 order by seq", self.id
        )
        return [row["state"] for row in rows]

    async def log(self) -> list[tuple[str, str, str]]:
        rows = await self.seed.database.fetch(
            "select name, level, message from log where flow_run_id = $1 order by seq", self.id
        )
        return [(row["name"], row["level"], row["message"]) for row in rows]


async def pass_time(database: Database, seconds: int, *, heard: bool = True) -> None:
    """Let time pass for everything that is compared with the clock; `heard`: a server was there all the time."""
    age = timedelta(seconds=seconds)
    await database.execute(
        "update flow_run_heartbeat set heartbeat = heartbeat - $1::interval, followed = followed - $1::interval", age
    )
    await database.execute(
        "update flow_run set state_timestamp = state_timestamp - $1::interval, "
        "queue_time = case when state = 'Scheduled' then queue_time else queue_time - $1::interval end",
        age,
    )
    await database.execute("update heartbeat_reception set receiving_since = receiving_since - $1::interval", age)
    if not heard:
        await database.execute("update heartbeat_reception set last_seen = last_seen - $1::interval", age)
    await receive_heartbeats(database, RULES)


async def started(database: Database, *, retries: int = 0, begin: bool = True) -> Run:
    """Return a Running run whose first task run is Running, too."""
    await receive_heartbeats(database, RULES)
    seeded = await seed(database)
    await database.execute("update task set max_retries = $1, retry_delay = '30 seconds'", retries)
    await seeded.run()
    run = await Run(seeded, await seeded.agent()).claim()
    if begin:
        await run.set("Running")
        await run.beat()
        await run.set_task(0, "Running")
    return run


@pytest.mark.anyio
async def test_a_dead_task_run_fails_and_the_old_claim_ends(database: Database) -> None:
    run = await started(database)
    await pass_time(database, 590)
    assert await reap_dead_runs(database, RULES) == NOBODY
    await pass_time(database, 20)
    assert await reap_dead_runs(database, RULES) == Reaped(1, 0, 0, 1)
    assert await run.tasks() == [("Failed", 3), ("Pending", 1)]
    row = await run.row()
    assert (row["state"], row["claim_token"]) == ("Running", None)
    ((name, level, message),) = await run.log()
    assert (name, level) == ("prefect-server.ZombieKiller.TaskRun", "ERROR")
    assert "marking the task run" in message
    assert "was last heard of at" in message
    assert "the agent 'agent'" in message
    assert await reap_dead_runs(database, RULES) == NOBODY

    # what the frozen copy writes when it thaws is refused and recorded
    assert isinstance(await run.set_task(0, "Success"), StaleWriteError)
    assert isinstance(await run.set("Success"), StaleWriteError)
    with pytest.raises(StaleWriteError):
        await run.beat()
    assert (await run.tasks())[0] == ("Failed", 3)
    assert [name for name, level, _ in await run.log() if level == "WARNING"] == ["flowstead.states"] * 2

    # nothing is left that would make the run go on
    assert await resurrect_lost_runs(database, RULES) == Resurrected(1, 0)
    assert await run.history() == ["Scheduled", "Submitted", "Running", "Scheduled"]
    name, level, message = (await run.log())[-1]
    assert (name, level) == ("prefect-server.Lazarus.FlowRun", "INFO")
    assert message.startswith("Rescheduled by a Lazarus process. This is attempt 1.")
    again = await Run(run.seed, run.agent_id).claim()
    assert again.id == run.id
    assert again.token != run.token
    assert await resurrect_lost_runs(database, RULES) == NONE


@pytest.mark.anyio
async def test_a_dead_task_run_with_retries_is_retried_by_the_next_process(database: Database) -> None:
    run = await started(database, retries=1)
    await pass_time(database, 610)
    assert await reap_dead_runs(database, RULES) == Reaped(1, 0, 1, 0)
    row = await database.fetch_row("select * from task_run where state = 'Retrying'")
    assert row is not None
    state = orjson.loads(row["serialized_state"])
    assert state["run_count"] == 1
    assert row["state_message"].endswith("This will be retry 1 of 1.")
    assert await resurrect_lost_runs(database, RULES) == NONE
    await database.execute("update flow_run set queue_time = now()")
    again = await Run(run.seed, run.agent_id).claim()
    await again.set_task(0, "Running")
    await again.beat()
    await pass_time(database, 610)
    assert await reap_dead_runs(database, RULES) == Reaped(1, 0, 0, 1)


@pytest.mark.anyio
async def test_nobody_is_dead_who_could_not_be_heard(database: Database) -> None:
    run = await started(database)
    await pass_time(database, 3600, heard=False)
    assert await reap_dead_runs(database, RULES) == NOBODY
    await pass_time(database, 590)
    assert await reap_dead_runs(database, RULES) == NOBODY
    # the servers are there, but none has said so lately: this one was frozen and does not yet know
    await pass_time(database, 20)
    await database.execute("update heartbeat_reception set last_seen = now() - interval '40 seconds'")
    assert await reap_dead_runs(database, RULES) == NOBODY
    await database.execute("update heartbeat_reception set last_seen = now()")
    assert await reap_dead_runs(database, RULES) == Reaped(1, 0, 0, 1)
    assert (await run.tasks())[0][0] == "Failed"


@pytest.mark.anyio
async def test_a_clock_that_jumps_begins_anew(database: Database) -> None:
    await started(database)
    await pass_time(database, 610)
    for jump in ("- interval '2 hours'", "+ interval '2 hours'"):
        await database.execute(f"update heartbeat_reception set last_seen = last_seen {jump}")
        await receive_heartbeats(database, RULES)
        assert await reap_dead_runs(database, RULES) == NOBODY


@pytest.mark.anyio
async def test_flows_without_heartbeats_or_lazarus_are_left_alone(database: Database) -> None:
    run = await started(database)
    await set_heartbeat(database, run.seed.caller, run.seed.flow_id, enabled=False)
    await pass_time(database, 4000)
    assert await reap_dead_runs(database, RULES) == NOBODY
    await run.set_task(0, "Success")
    assert await resurrect_lost_runs(database, RULES) == NONE
    await set_heartbeat(database, run.seed.caller, run.seed.flow_id, enabled=True)
    await set_lazarus(database, run.seed.caller, run.seed.flow_id, enabled=False)
    assert await resurrect_lost_runs(database, RULES) == NONE
    await set_lazarus(database, run.seed.caller, run.seed.flow_id, enabled=True)
    assert await resurrect_lost_runs(database, RULES) == Resurrected(1, 0)


@pytest.mark.anyio
async def test_a_task_run_that_waits_for_a_slot_does_not_keep_a_dead_run_from_going_on(database: Database) -> None:
    """Only a process can ask for the slot, and there is none."""
    run = await started(database)
    await database.execute("update task set tags = '[\"db\"]' where slug = 't-2'")
    await update_task_tag_limit(database, run.seed.caller, "db", 0)
    await run.set_task(1, "Running")
    assert [state for state, _ in await run.tasks()] == ["Running", "Queued"]
    await pass_time(database, 590)
    assert await resurrect_lost_runs(database, RULES) == NONE
    await pass_time(database, 20)
    assert await resurrect_lost_runs(database, RULES) == NONE, "its task run has to be ended first"
    assert await reap_dead_runs(database, RULES) == Reaped(1, 0, 0, 1)
    assert await resurrect_lost_runs(database, RULES) == Resurrected(1, 0)
    again = await Run(run.seed, run.agent_id).claim()
    assert again.id == run.id
    await again.set("Running")
    await update_task_tag_limit(database, run.seed.caller, "db", 1)
    await again.set_task(1, "Running")
    assert [state for state, _ in await run.tasks()] == ["Failed", "Running"]


@pytest.mark.anyio
async def test_a_cancelling_run_whose_process_is_gone_ends_cancelled(database: Database) -> None:
    run = await started(database)
    await run.set("Cancelling", run.seed.caller)
    await pass_time(database, 610)
    assert await reap_dead_runs(database, RULES) == Reaped(1, 1, 0, 0)
    assert await run.history() == ["Scheduled", "Submitted", "Running", "Cancelling", "Cancelled"]
    assert {state for state, _ in await run.tasks()} == {"Cancelled"}
    ((name, _, message),) = await run.log()
    assert name == "prefect-server.ZombieKiller.FlowRun"
    assert message.startswith("No heartbeat detected from the flow run; marking the run as cancelled.")


@pytest.mark.anyio
async def test_what_a_failed_run_left_running_fails_too(database: Database) -> None:
    run = await started(database, retries=3)
    await run.set("Failed")
    await pass_time(database, 610)
    assert await reap_dead_runs(database, RULES) == Reaped(1, 0, 0, 1)
    assert await run.history() == ["Scheduled", "Submitted", "Running", "Failed"]


@pytest.mark.anyio
async def test_a_followed_run_and_a_living_lease_are_not_put_back(database: Database) -> None:
    run = await started(database, begin=False)
    await pass_time(database, 610)
    await extend(run)
    assert await resurrect_lost_runs(database, RULES) == NONE
    await run.set("Running")
    await run.beat()
    await pass_time(database, 610)
    await extend(run)
    assert await resurrect_lost_runs(database, RULES) == NONE
    await pass_time(database, 100)
    assert await resurrect_lost_runs(database, RULES) == Resurrected(1, 0)


@pytest.mark.anyio
async def test_a_run_that_an_agent_of_1_4_1_did_not_bring_up_is_put_back(database: Database) -> None:
    await receive_heartbeats(database, RULES)
    seeded = await seed(database)
    run_id = await seeded.run()
    await set_flow_run_states(database, seeded.caller, [SetFlowRunState(run_id, {"type": "Submitted"})])
    await pass_time(database, 590)
    assert await resurrect_lost_runs(database, RULES) == NONE
    await pass_time(database, 20)
    assert await resurrect_lost_runs(database, RULES) == Resurrected(1, 0)


@pytest.mark.anyio
async def test_a_run_without_heartbeats_lives_while_its_agent_says_so(database: Database) -> None:
    run = await started(database)
    await database.execute("update flow_run_heartbeat set beats = false")
    await pass_time(database, 4000)
    await extend(run)
    assert await reap_dead_runs(database, RULES) == NOBODY
    await pass_time(database, 100)
    assert await reap_dead_runs(database, RULES) == Reaped(1, 0, 0, 1)


@pytest.mark.anyio
async def test_looking_for_the_dead_reads_neither_all_runs_nor_all_task_runs(database: Database) -> None:
    run = await started(database)
    for name, count in (("Success", 4000), ("Running", 20)):
        await database.execute(
            """with runs as (
                insert into flow_run (
                    tenant_id, flow_id, version, state, state_timestamp, serialized_state, label_set_id)
                select tenant_id, flow_id, 1, $2, now() - interval '1 hour', '{}', label_set_id
                from flow_run, generate_series(1, $3::integer) where id = $1
                returning id, tenant_id, flow_id
            ),
            heartbeats as (
                insert into flow_run_heartbeat (flow_run_id, heartbeat) select id, now() - interval '1 hour' from runs
            )
            insert into task_run (tenant_id, flow_run_id, task_id, version, state, state_timestamp, serialized_state)
            select runs.tenant_id, runs.id, task.id, 1, $2, now(), '{}'
            from runs join task on task.flow_id = runs.flow_id""",
            run.id,
            name,
            count,
        )
    await database.execute("analyze")
    limit = timedelta(minutes=10)
    for name, arguments in (("find_dead", (limit, 5000)), ("find_lost", (limit, 500, limit))):
        statement = load_statements("flowstead_server.store", "liveness.sql")[name]
        plan = "\n".join(row[0] for row in await database.fetch(f"explain {statement}", *arguments))
        # of the runs in these states, or of those that are live
        assert "flow_run_tenant_state_idx" in plan or "flow_run_live_" in plan
        assert "Seq Scan on flow_run " not in plan
        assert "Seq Scan on task_run" not in plan


async def extend(run: Run) -> None:
    extended = await extend_flow_run_claims(
        run.seed.database, run.seed.caller, ExtendFlowRunClaims(run.agent_id, [(run.id, run.token)])
    )
    assert extended.lost == []


@pytest.mark.anyio
async def test_a_run_that_never_comes_up_is_failed_at_last(database: Database) -> None:
    rules = LivenessRules(attempts=2)
    run = await started(database, begin=False)
    for attempt in range(3):
        if attempt:
            await run.claim()
        await pass_time(database, 610)
        expected = Resurrected(1, 0) if attempt < 2 else Resurrected(0, 1)
        assert await resurrect_lost_runs(database, rules) == expected
    assert await run.history() == ["Scheduled", "Submitted"] * 3 + ["Failed"]
    row = await run.row()
    assert row["times_resurrected"] == 2
    assert row["claim_token"] is None
    assert row["state_message"].startswith("A Lazarus process attempted to reschedule this run 2 times")


@pytest.mark.anyio
async def test_many_servers_at_once_act_once(database: Database) -> None:
    first = await started(database)
    runs = [first]
    for _ in range(19):
        await first.seed.run()
        run = await Run(first.seed, first.agent_id).claim()
        await run.set("Running")
        await run.set_task(0, "Running")
        runs.append(run)
    await pass_time(database, 610)
    reaped = await asyncio.gather(*(reap_dead_runs(database, RULES) for _ in range(6)))
    assert sum(item.flow_runs for item in reaped) == 20
    assert [await run.tasks() for run in runs] == [[("Failed", 3), ("Pending", 1)]] * 20
    resurrected = await asyncio.gather(*(resurrect_lost_runs(database, RULES) for _ in range(6)))
    assert sum(item.rescheduled for item in resurrected) == 20
    for run in runs:
        assert (await run.row())["times_resurrected"] == 1
        assert len(await run.log()) == 2


@pytest.mark.anyio
async def test_a_heartbeat_at_the_last_moment_keeps_a_run_alive(database: Database) -> None:
    run = await started(database)
    await pass_time(database, 610)
    async with database.transaction() as other:
        # somebody is at the run: it is left for the next round
        await other.fetch("select pg_advisory_xact_lock(hashtextextended($1::text, 0))", str(run.id))
        assert await reap_dead_runs(database, RULES) == NOBODY
    await run.beat()
    assert await reap_dead_runs(database, RULES) == NOBODY
    assert await run.set_task(0, "Success") is not None


@pytest.mark.anyio
async def test_the_next_process_finds_no_task_run_that_seems_to_run(database: Database) -> None:
    """A process that died left one task run Retrying and one Running, as parallel executors do."""
    run = await started(database)
    await run.set_task(1, "Retrying", start_time="2020-01-01T00:00:00+00:00")
    await pass_time(database, 50)
    again = await Run(run.seed, run.agent_id).claim()
    assert [state for state, _ in await again.tasks()] == ["Pending", "Retrying"]
    # and so where a person puts the run back
    await again.set_task(0, "Running")
    await again.set("Scheduled", run.seed.caller)
    assert [state for state, _ in await again.tasks()] == ["Pending", "Retrying"]
    assert (await again.row())["claim_token"] is None
