"""Concurrency limits of flow runs: by label and by flow, for claims, for agents that poll, and without agents."""

import asyncio
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
from seeds import Seed, seed, serialized_flow

from flowstead_server.db import Database
from flowstead_server.domain.caller import Caller
from flowstead_server.domain.errors import BadInputError, FlowsteadError
from flowstead_server.domain.hints import TAG_SLOTS
from flowstead_server.orchestration import limits
from flowstead_server.orchestration.cancellation import cancel_flow_run
from flowstead_server.orchestration.deletions import delete_flow_run
from flowstead_server.orchestration.flow_runs import set_flow_run_labels
from flowstead_server.orchestration.flows import CreateFlow, create_flow
from flowstead_server.orchestration.queue import (
    ClaimedFlowRun,
    ClaimFlowRuns,
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
    StateResult,
    set_flow_run_states,
    set_task_run_states,
)
from flowstead_server.store import flow_groups

LIVE = "state in ('Submitted', 'Running', 'Cancelling')"
HOLDS = f"{LIVE} and (state <> 'Submitted' or queue_time is null or queue_time > now())"


async def claim(seeded: Seed, agent_id: UUID, limit: int = 10, labels: list[str] | None = None) -> list[ClaimedFlowRun]:
    request = ClaimFlowRuns(agent_id, labels=labels or ["db", "other"], limit=limit)
    return (await claim_flow_runs(seeded.database, seeded.caller, request)).flow_runs


async def put(seeded: Seed, run_id: UUID, name: str, caller: Caller | None = None, **members: Any) -> StateResult:
    (answer,) = await set_flow_run_states(
        seeded.database, caller or seeded.caller, [SetFlowRunState(run_id, {"type": name, **members})]
    )
    if isinstance(answer, FlowsteadError):
        raise answer
    return answer


async def label_limit(seeded: Seed, limit: int, label: str = "db") -> UUID:
    return await limits.update_flow_concurrency_limit(seeded.database, seeded.caller, label, limit)


async def group_limit(seeded: Seed, limit: int | None, flow_id: UUID | None = None) -> None:
    group = await seeded.database.fetch_value("select flow_group_id from flow where id = $1", flow_id or seeded.flow_id)
    assert await limits.set_flow_group_concurrency_limit(seeded.database, seeded.caller, group, limit)


async def another_flow(seeded: Seed) -> Seed:
    flow = CreateFlow(serialized_flow("another"), seeded.project_id)
    return replace(seeded, flow_id=await create_flow(seeded.database, seeded.caller, flow))


async def expire_leases(database: Database) -> None:
    await database.execute("update flow_run set queue_time = now() where state = 'Submitted'")


async def state_of(database: Database, run_id: UUID) -> str:
    return await database.fetch_value("select state from flow_run where id = $1", run_id)


async def test_no_more_are_claimed_than_there_are_slots_and_each_end_frees_one(database: Database) -> None:
    seeded = await seed(database)
    agent_id = await seeded.agent()
    await label_limit(seeded, 2)
    runs = [await seeded.run(labels=["db"]) for _ in range(6)]
    ready = await runs_ready(database, seeded.caller, ["db"])
    assert ready.waiting == 6
    first, second = await claim(seeded, agent_id)
    assert [first.id, second.id] == runs[:2]
    assert await claim(seeded, agent_id) == []
    # agents are not woken for what they cannot have
    assert (await runs_ready(database, seeded.caller, ["db"])).waiting == 0
    holder = replace(seeded.caller, claim_token=first.claim_token)
    assert (await put(seeded, first.id, "Running", holder)).status == "SUCCESS"
    assert await claim(seeded, agent_id) == []
    await put(seeded, first.id, "Success", holder)
    assert [run.id for run in await claim(seeded, agent_id)] == [runs[2]]
    await cancel_flow_run(database, seeded.caller, second.id)
    assert [run.id for run in await claim(seeded, agent_id)] == [runs[3]]
    await delete_flow_run(database, seeded.caller, runs[2])
    assert [run.id for run in await claim(seeded, agent_id)] == [runs[4]]
    await set_flow_run_labels(database, seeded.caller, runs[3], ["other"])
    assert [run.id for run in await claim(seeded, agent_id)] == [runs[5]]


async def test_blocked_runs_hold_up_nobody(database: Database) -> None:
    """Neither those of other labels that came later, nor those of another flow with the same labels."""
    seeded = await seed(database)
    other = await another_flow(seeded)
    agent_id = await seeded.agent()
    await label_limit(seeded, 0)
    await group_limit(seeded, 0)
    for _ in range(130):
        await seeded.run(labels=["other"])
    for _ in range(130):
        await other.run(labels=["db", "other"])
    free = [await other.run(labels=["other"]) for _ in range(3)]
    assert [run.id for run in await claim(seeded, agent_id)] == free
    free = [await other.run(labels=["other"]) for _ in range(3)]
    poll = GetRunsInQueue(labels=["db", "other"])
    assert await get_runs_in_queue(database, seeded.caller, poll) == free
    await group_limit(seeded, 1)
    assert len(await claim(seeded, agent_id)) == 4


async def test_a_run_needs_a_slot_of_each_of_its_limits(database: Database) -> None:
    seeded = await seed(database)
    agent_id = await seeded.agent()
    await label_limit(seeded, 3, "db")
    await label_limit(seeded, 1, "other")
    await group_limit(seeded, 4)
    runs = {
        name: [await seeded.run(labels=labels) for _ in range(4)]
        for name, labels in (("both", ["db", "other"]), ("db", ["db"]), ("other", ["other"]), ("none", ["x"]))
    }
    labels = ["db", "other", "x"]
    claimed = [run.id for run in await claim(seeded, agent_id, labels=labels)]
    assert claimed == [runs["both"][0], runs["db"][0], runs["db"][1], runs["none"][0]]
    await cancel_flow_run(database, seeded.caller, runs["both"][0])
    claimed = [run.id for run in await claim(seeded, agent_id, labels=labels)]
    assert claimed == [runs["both"][1]]


@pytest.mark.parametrize("kind", ["label", "group"])
async def test_lowering_a_limit_drains_and_zero_starts_nothing(database: Database, kind: str) -> None:
    seeded = await seed(database)
    agent_id = await seeded.agent()

    async def limit(number: int) -> None:
        await (label_limit(seeded, number) if kind == "label" else group_limit(seeded, number))

    # a limit that comes when runs are there already counts those that run
    runs = [await seeded.run(labels=["db"]) for _ in range(8)]
    live = await claim(seeded, agent_id, 4)
    assert [run.id for run in live] == runs[:4]
    await limit(2)
    assert await claim(seeded, agent_id) == []
    for run in live[:2]:
        holder = replace(seeded.caller, claim_token=run.claim_token)
        # they have their slots, lowered or not
        assert (await put(seeded, run.id, "Running", holder)).status == "SUCCESS"
        await put(seeded, run.id, "Success", holder)
        assert await claim(seeded, agent_id) == []
    await cancel_flow_run(database, seeded.caller, runs[2])
    assert [run.id for run in await claim(seeded, agent_id)] == [runs[4]]
    await limit(0)
    await cancel_flow_run(database, seeded.caller, runs[3])
    await cancel_flow_run(database, seeded.caller, runs[4])
    assert await claim(seeded, agent_id) == []
    with pytest.raises(BadInputError, match="0 or more"):
        await limit(-1)
    if kind == "label":
        assert await limits.delete_flow_concurrency_limit(database, seeded.caller, await label_limit(seeded, 0))
    else:
        await group_limit(seeded, None)
    assert [run.id for run in await claim(seeded, agent_id)] == runs[5:]


async def test_a_dead_agent_frees_its_slot_and_its_process_finds_it_taken(database: Database) -> None:
    seeded = await seed(database)
    agent_id = await seeded.agent()
    await label_limit(seeded, 1)
    lost = await seeded.run(labels=["db"])
    (first,) = await claim(seeded, agent_id)
    after = await seeded.run(labels=["other", "db"])
    assert await claim(seeded, agent_id) == []
    await expire_leases(database)
    (second,) = await claim(seeded, agent_id)
    assert second.id == after
    # the frozen agent comes back: neither its word nor its process gets the slot a second time
    extended = await extend_flow_run_claims(
        database, seeded.caller, ExtendFlowRunClaims(agent_id, [(lost, first.claim_token)])
    )
    assert extended.lost == [lost]
    answer = await put(seeded, lost, "Running", replace(seeded.caller, claim_token=first.claim_token))
    assert (answer.status, await state_of(database, lost)) == ("QUEUED", "Queued")
    # a claimed process keeps no slot: the run is in the queue again, for any agent
    await cancel_flow_run(database, seeded.caller, after)
    (third,) = await claim(seeded, agent_id)
    assert third.id == lost
    with pytest.raises(FlowsteadError, match="claim on the run has ended"):
        await put(seeded, lost, "Running", replace(seeded.caller, claim_token=first.claim_token))


async def test_a_running_run_with_a_due_task_is_restarted_though_the_limit_is_full(database: Database) -> None:
    seeded = await seed(database)
    agent_id = await seeded.agent()
    await label_limit(seeded, 1)
    run_id = await seeded.run(labels=["db"])
    await seeded.run(labels=["db"])
    (claimed,) = await claim(seeded, agent_id)
    holder = replace(seeded.caller, claim_token=claimed.claim_token)
    await put(seeded, run_id, "Running", holder)
    (task_run_id, _) = await seeded.task_run_ids(run_id)
    due = datetime.now(UTC) - timedelta(seconds=10)
    await set_task_run_states(
        database, holder, [SetTaskRunState(task_run_id, {"type": "Retrying", "start_time": due.isoformat()})]
    )
    await database.execute("update flow_run_heartbeat set heartbeat = now() - interval '1 hour'")
    assert (await runs_ready(database, seeded.caller, ["db"])).waiting == 1
    assert await get_runs_in_queue(database, seeded.caller, GetRunsInQueue(labels=["db"])) == [run_id]
    (restarted,) = await claim(seeded, agent_id)
    assert (restarted.id, restarted.restart) == (run_id, True)


async def test_agents_of_1_4_1_are_under_the_same_limits(database: Database) -> None:
    seeded = await seed(database)
    agent = replace(seeded.caller, agent_id=await seeded.agent())
    await label_limit(seeded, 2)
    runs = [await seeded.run(labels=["db"]) for _ in range(4)]
    poll = GetRunsInQueue(labels=["db"])
    assert await get_runs_in_queue(database, agent, poll) == runs[:2]
    # another agent sees the next two before these are submitted
    assert await get_runs_in_queue(database, agent, poll) == runs[2:]
    answers = [await put(seeded, run, "Submitted", agent, state={"type": "Scheduled"}) for run in runs]
    assert [answer.status for answer in answers] == ["SUCCESS", "SUCCESS", "QUEUED", "QUEUED"]
    assert answers[2].message == "Waits for a free slot: label 'db' (2)."
    row = await database.fetch_row("select * from flow_run where id = $1", runs[2])
    assert row is not None
    assert (row["state"], row["state_message"], row["version"]) == ("Queued", answers[2].message, 2)
    assert row["queue_time"] - row["state_timestamp"] == timedelta(minutes=10)
    state = orjson.loads(row["serialized_state"])
    assert (state["type"], state["state"]["type"]) == ("Queued", "Scheduled")
    # processes ask on: nothing is written while nothing changes
    assert (await put(seeded, runs[2], "Running")).status == "QUEUED"
    history = await database.fetch("select state from flow_run_state where flow_run_id = $1 order by seq", runs[2])
    assert [entry["state"] for entry in history] == ["Scheduled", "Queued"]
    for run in runs[:2]:
        assert (await put(seeded, run, "Running")).status == "SUCCESS"
    await put(seeded, runs[0], "Success")
    # two processes wait and have asked lately: the slot is for one of them, not for a run that comes after them
    await seeded.run(labels=["db"])
    assert await get_runs_in_queue(database, agent, poll) == []
    assert await claim(seeded, await seeded.agent()) == []
    assert (await put(seeded, runs[3], "Running")).status == "SUCCESS"
    assert (await put(seeded, runs[2], "Running")).status == "QUEUED"
    await put(seeded, runs[1], "Success")
    # one that has not asked for a while keeps nothing
    await database.execute("update flow_run set queue_time = queue_time - interval '40 seconds' where id = $1", runs[2])
    assert len(await get_runs_in_queue(database, agent, poll)) == 1
    # after ten minutes the run is for agents again; those of 1.4.1 want it to be Scheduled
    await database.execute("update flow_run set queue_time = now() where id = $1", runs[2])
    assert await get_runs_in_queue(database, agent, poll) == []
    assert await state_of(database, runs[2]) == "Scheduled"
    assert runs[2] in await get_runs_in_queue(database, agent, poll)
    assert (await put(seeded, runs[2], "Running")).status == "SUCCESS"


async def test_runs_without_an_agent_take_a_slot_when_they_run(database: Database) -> None:
    seeded = await seed(database)
    await label_limit(seeded, 1)
    first, second = [await seeded.run(labels=["db", f"agentless-run-{n}"]) for n in range(2)]
    assert (await put(seeded, first, "Running")).status == "SUCCESS"
    assert (await put(seeded, second, "Running")).status == "QUEUED"
    assert (await put(seeded, first, "Running")).status == "SUCCESS"
    await put(seeded, first, "Failed")
    assert (await put(seeded, second, "Running")).status == "SUCCESS"


async def test_a_run_that_comes_up_while_its_flow_gets_a_limit_goes_to_its_lane(database: Database) -> None:
    seeded = await seed(database)
    agent_id = await seeded.agent()
    await group_limit(seeded, 1)
    runs = [await seeded.run(labels=["db"]) for _ in range(4)]
    plain = await database.fetch_value("select queue_lane($1, array['db'], null, 0::smallint)", seeded.caller.tenant_id)
    await database.execute("update flow_run set label_set_id = $1", plain)
    assert [run.id for run in await claim(seeded, agent_id)] == runs[:1]
    assert await database.fetch_value("select count(*) from flow_run where label_set_id = $1", plain) == 0
    assert await claim(seeded, agent_id) == []


async def test_the_waiting_runs_of_a_flow_that_gets_a_limit_are_moved_in_pieces(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeded = await seed(database)
    runs = {await seeded.run(labels=labels) for labels in (["db"], ["db"], ["other"], ["db"], ["db"])}
    other = await (await another_flow(seeded)).run(labels=["db"])
    group = await database.fetch_value("select flow_group_id from flow where id = $1", seeded.flow_id)
    monkeypatch.setattr(limits, "_MOVED_AT_ONCE", 2)
    await group_limit(seeded, 1)
    rows = await database.fetch(
        "select r.id, s.labels, s.flow_group_id from flow_run r join label_set s on s.id = r.label_set_id"
    )
    assert {row["id"] for row in rows if row["flow_group_id"] == group} == runs
    assert [row["id"] for row in rows if row["flow_group_id"] is None] == [other]
    assert sorted(row["labels"] for row in rows) == [["db"]] * 5 + [["other"]]
    # without a limit nothing is moved
    await group_limit(seeded, None)
    assert await flow_groups.move_to_own_lanes(database, seeded.caller.tenant_id, group, 10) == 0


class Recorder:
    """Keeps what is said about slots."""

    def __init__(self) -> None:
        self.freed: list[UUID] = []
        self.queues: list[set[int]] = []

    def runs_changed(self, flow_run_ids: Any) -> None:
        pass

    def queue_changed(self, tenant_id: UUID, label_set_ids: Any) -> None:
        self.queues.append(set(label_set_ids))

    def slots_freed(self, tenant_id: UUID) -> None:
        self.freed.append(tenant_id)


async def test_agents_hear_of_slots_that_come_free_and_of_no_others(database: Database) -> None:
    seeded = await seed(database)
    agent_id = await seeded.agent()
    await label_limit(seeded, 2)
    limited = [await seeded.run(labels=["db"]) for _ in range(2)]
    free = await seeded.run(labels=["other"])
    claimed = {run.id: replace(seeded.caller, claim_token=run.claim_token) for run in await claim(seeded, agent_id)}
    hints = Recorder()
    database.hints = hints
    for run in (*limited, free):
        await put(seeded, run, "Running", claimed[run])
    await put(seeded, free, "Success", claimed[free])
    assert (hints.freed, hints.queues) == ([], [])
    await put(seeded, limited[0], "Success", claimed[limited[0]])
    assert (hints.freed, hints.queues) == ([seeded.caller.tenant_id], [])
    # task runs that a failed run leaves behind hold no slots of their tags
    await put(seeded, limited[1], "Failed", claimed[limited[1]])
    assert (len(hints.freed), hints.queues) == (2, [{TAG_SLOTS}])
    await label_limit(seeded, 3)
    await group_limit(seeded, 3)
    assert len(hints.freed) == 4


async def most_live_at_once(database: Database) -> int:
    """Return how many runs were live at the same time, by the history of their states."""
    return await database.fetch_value(
        f"""
        with changes as (
            select timestamp, seq, ({LIVE})::integer - coalesce(
                lag(({LIVE})::integer) over (partition by flow_run_id order by seq), 0
            ) as change
            from flow_run_state
        )
        select max(live) from (select sum(change) over (order by timestamp, change) as live from changes) counted
        """
    )


@pytest.mark.parametrize("kind", ["label", "group"])
async def test_parallel_claims_never_exceed_a_limit(database: Database, database_dsn: str, kind: str) -> None:
    """Claims, polls and processes without agents, of two servers, with a limit of 3 and 60 runs that end at once."""
    seeded = await seed(database)
    agents = [await seeded.agent(str(n)) for n in range(6)]
    await (label_limit(seeded, 3) if kind == "label" else group_limit(seeded, 3))
    runs = [await seeded.run(labels=["db"] if n % 2 else ["db", "other"]) for n in range(60)]
    ended: set[UUID] = set()

    async with await Database.connect(database_dsn) as another_server:
        servers = [seeded, replace(seeded, database=another_server)]

        async def ours(n: int) -> None:
            server = servers[n % 2]
            while len(ended) < len(runs):
                for run in await claim(server, agents[n], n + 1):
                    holder = replace(seeded.caller, claim_token=run.claim_token)
                    assert (await put(server, run.id, "Running", holder)).status == "SUCCESS"
                    await put(server, run.id, "Success", holder)
                    ended.add(run.id)

        async def of_1_4_1(n: int) -> None:
            server, agent = servers[n % 2], replace(seeded.caller, agent_id=agents[n])
            while len(ended) < len(runs):
                for run in await get_runs_in_queue(server.database, agent, GetRunsInQueue(labels=["db", "other"])):
                    try:
                        await put(server, run, "Submitted", agent, state={"type": "Scheduled"})
                        while (await put(server, run, "Running")).status == "QUEUED":
                            pass
                    except FlowsteadError:
                        continue
                    await put(server, run, "Success")
                    ended.add(run)

        async with asyncio.timeout(60):
            await asyncio.gather(ours(0), ours(1), ours(2), of_1_4_1(3), of_1_4_1(4), ours(5))
    assert await most_live_at_once(database) == 3
    assert await database.fetch_value("select count(*) from flow_run where state = 'Success'") == 60


class Chance:
    """Does things to runs under limits, by chance, some at the same time, and says after each step what is wrong."""

    SETS = (["db"], ["other"], ["db", "other"], ["free"])

    def __init__(self, seeded: Seed, other: Seed, agents: list[UUID], seed_of_chance: int) -> None:
        self.flows = (seeded, other)
        self.database, self.caller = seeded.database, seeded.caller
        self.agents = agents
        self.chance = random.Random(seed_of_chance)

    async def step(self) -> None:
        """Change the limits, or do up to six things at once."""
        before = await self.held()
        if self.chance.random() < 0.15:
            await self.change_a_limit()
        else:
            things = (self.create, self.claim, self.claim, self.poll, self.go_on, self.go_on, self.expire)
            await asyncio.gather(*(self.chance.choice(things)() for _ in range(self.chance.randint(1, 6))))
        after = await self.held()
        for name, (held, places) in after.items():
            # more than fit only while a limit that was lowered drains
            assert held <= max(places, before.get(name, (0, 0))[0]), (name, before, after)

    async def held(self) -> dict[str, tuple[int, int]]:
        rows = await self.database.fetch(
            f"""
            select l.name, l."limit" as places, count(r.id) as held
            from flow_concurrency_limit l
            left join flow_run r on r.labels ? l.name and {HOLDS}
            group by l.id
            union all
            select g.id::text, coalesce(g.concurrency_limit, 1000), count(r.id)
            from flow_group g
            join flow f on f.flow_group_id = g.id
            left join flow_run r on r.flow_id = f.id and {HOLDS}
            group by g.id
            """
        )
        return {row["name"]: (row["held"], row["places"]) for row in rows}

    async def some_runs(self, *states: str) -> list[UUID]:
        rows = await self.database.fetch(
            "select id from flow_run where state = any($1) order by id limit 20", list(states)
        )
        found = [row["id"] for row in rows]
        return self.chance.sample(found, min(2, len(found)))

    async def process_of(self, run: UUID) -> Caller:
        token = await self.database.fetch_value("select claim_token from flow_run where id = $1", run)
        return replace(self.caller, claim_token=token)

    async def change_a_limit(self) -> None:
        places = self.chance.randint(0, 3)
        if self.chance.random() < 0.6:
            await label_limit(self.flows[0], places, self.chance.choice(["db", "other"]))
        else:
            flow = self.chance.choice(self.flows)
            await group_limit(flow, self.chance.choice([places, places, None]))

    async def create(self) -> None:
        await self.chance.choice(self.flows).run(
            labels=self.chance.choice(self.SETS), priority=self.chance.choice([0, 0, 1])
        )

    async def claim(self) -> None:
        labels = ["db", "other", "free"]
        request = ClaimFlowRuns(self.chance.choice(self.agents), labels=labels, limit=self.chance.randint(1, 5))
        await claim_flow_runs(self.database, self.caller, request)

    async def poll(self) -> None:
        agent = replace(self.caller, agent_id=self.chance.choice(self.agents))
        poll = GetRunsInQueue(labels=["db", "other", "free"])
        for run in await get_runs_in_queue(self.database, agent, poll):
            await self.send(run, "Submitted", agent)

    async def go_on(self) -> None:
        for run in await self.some_runs("Submitted", "Queued"):
            await self.send(run, "Running", await self.process_of(run))
        for run in await self.some_runs("Running"):
            if self.chance.random() < 0.1:
                await cancel_flow_run(self.database, self.caller, run)
            elif self.chance.random() < 0.6:
                await self.send(run, "Success", await self.process_of(run))
        for run in await self.some_runs("Cancelling"):
            await self.send(run, "Cancelled", self.caller)

    async def expire(self) -> None:
        await self.database.execute(
            """
            update flow_run set queue_time = now()
            where id in (select id from flow_run where state in ('Submitted', 'Queued') and queue_time > now() limit 1)
            """
        )

    async def send(self, run: UUID, name: str, caller: Caller) -> None:
        state = {"type": name, "state": {"type": "Scheduled"}} if name == "Submitted" else {"type": name}
        await set_flow_run_states(self.database, caller, [SetFlowRunState(run, state)])


@pytest.mark.parametrize("seed_of_chance", [1, 2, 3])
async def test_whatever_happens_limits_hold_and_free_slots_are_used(database: Database, seed_of_chance: int) -> None:
    seeded = await seed(database)
    agents = [await seeded.agent(str(n)) for n in range(2)]
    chance = Chance(seeded, await another_flow(seeded), agents, seed_of_chance)
    for label in ("db", "other"):
        await label_limit(seeded, 2, label)
    for _ in range(8):
        await chance.create()
    for _ in range(60):
        await chance.step()
    # without limits in the way all of them come to their end
    for label in ("db", "other"):
        await label_limit(seeded, 100, label)
    for flow in chance.flows:
        await group_limit(flow, None)
    left = "select count(*) from flow_run where state not in ('Success', 'Cancelled')"
    async with asyncio.timeout(60):
        while await database.fetch_value(left):
            await database.execute("update flow_run set queue_time = now() where queue_time is not null")
            await chance.claim()
            await chance.go_on()
