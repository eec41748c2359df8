"""Priority: which of the waiting runs is next, for claims and for agents that poll."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from seeds import Seed, seed

from flowstead_server.db import Database
from flowstead_server.domain.errors import BadInputError
from flowstead_server.orchestration.flow_runs import set_flow_run_labels, set_flow_run_priority
from flowstead_server.orchestration.queue import ClaimFlowRuns, GetRunsInQueue, claim_flow_runs, get_runs_in_queue
from flowstead_server.orchestration.states import SetFlowRunState, set_flow_run_states


async def claim(seeded: Seed, agent_id: UUID, limit: int = 1) -> list[UUID]:
    request = ClaimFlowRuns(agent_id, labels=["a", "b"], limit=limit, before=ago(-1))
    return [run.id for run in (await claim_flow_runs(seeded.database, seeded.caller, request)).flow_runs]


def ago(minutes: float) -> datetime:
    return datetime.now(UTC) - timedelta(minutes=minutes)


async def test_a_point_counts_as_ten_minutes_of_waiting(database: Database) -> None:
    seeded = await seed(database)

    async def run(label: str, minutes: float, priority: int | None) -> UUID:
        return await seeded.run(labels=[label], scheduled_start_time=ago(minutes), priority=priority)

    low = await run("a", 5, -1)
    plain = await run("b", 0, None)
    old = await run("a", 61, 0)
    later = await run("a", -0.5, 100)
    high = await run("a", 0, 6)
    higher = await run("b", 0, 7)
    # what is due goes first; one that has waited for long enough goes before those of higher priority
    order = [higher, old, high, plain, low, later]
    poll = GetRunsInQueue(before=ago(-1), labels=["a", "b"])
    assert await get_runs_in_queue(database, seeded.caller, poll) == order
    agent_id = await seeded.agent()
    assert await claim(seeded, agent_id) == [higher]
    assert await claim(seeded, agent_id, 3) == [old, high, plain]
    assert await claim(seeded, agent_id, 10) == [low, later]


async def test_the_priority_changes_while_a_run_waits(database: Database) -> None:
    seeded = await seed(database)
    agent_id = await seeded.agent()
    first, second, third = [await seeded.run(labels=["a"]) for _ in range(3)]
    assert await set_flow_run_priority(database, seeded.caller, third, 1)
    assert await set_flow_run_priority(database, seeded.caller, first, -100)
    # it stays when the labels change
    assert await set_flow_run_labels(database, seeded.caller, first, ["b"])
    assert await database.fetch_value("select priority from flow_run where id = $1", third) == 1
    assert await claim(seeded, agent_id, 3) == [third, second, first]
    assert await set_flow_run_priority(database, seeded.caller, uuid4(), 1) is False
    for priority in (-101, 101):
        with pytest.raises(BadInputError, match="must be -100 to 100, but this one is"):
            await set_flow_run_priority(database, seeded.caller, first, priority)
        with pytest.raises(BadInputError, match="must be -100 to 100, but this one is"):
            await seeded.run(priority=priority)
    await set_flow_run_states(database, seeded.caller, [SetFlowRunState(first, {"type": "Success"})])
    with pytest.raises(BadInputError, match="is Success; only one that has not ended"):
        await set_flow_run_priority(database, seeded.caller, first, 1)


async def test_thousands_of_high_priority_starve_nobody_who_has_waited(database: Database) -> None:
    seeded = await seed(database)
    agent_id = await seeded.agent()
    waited = await seeded.run(labels=["a"], scheduled_start_time=ago(1001))
    for _ in range(150):
        await seeded.run(labels=["a"], priority=100)
    assert await claim(seeded, agent_id) == [waited]
