"""Many runs, several agents and servers, and agents that are killed all the time: each run is started exactly once.

`FLOWSTEAD_TEST_TINY_RUNS=10000` makes it a long one.
"""

import asyncio
import os
import random
import signal
from pathlib import Path

import asyncpg
import pytest
from agent_world import free_port
from seeds import seed
from system_world import System, wait_until

from flowstead_server.db.database import Database
from flowstead_server.db.embedded import EmbeddedPostgres
from flowstead_server.orchestration.flow_runs import CreateFlowRun, create_flow_run

TINY_AGENT = Path(__file__).parent.parent / "support" / "tiny_agent.py"
RUNS = int(os.environ.get("FLOWSTEAD_TEST_TINY_RUNS", "1000"))
AGENTS = 4


def violations(histories, expected):
    """Say what is wrong with the histories (run id: names of its states in order) of the runs that were created."""
    wrong = [f"{run}: lost" for run in expected - histories.keys()]
    for run, states in histories.items():
        if states.count("Running") != 1:
            wrong.append(f"{run}: started {states.count('Running')} times: {states}")
        elif states[-1] != "Success" or states.count("Success") != 1:
            wrong.append(f"{run}: did not end once, in Success: {states}")
    return wrong


def test_the_checker_finds_what_is_wrong():
    good = ["Scheduled", "Submitted", "Running", "Success"]
    assert violations({"a": good, "b": ["Scheduled", "Submitted", "Submitted", "Running", "Success"]}, {"a", "b"}) == []
    assert violations({"a": good}, {"a", "b"}) == ["b: lost"]
    assert len(violations({"a": [*good, "Running", "Success"]}, {"a"})) == 1
    assert len(violations({"a": good[:3]}, {"a"})) == 1
    assert len(violations({"a": [*good, "Success"]}, {"a"})) == 1


@pytest.mark.timeout(1800)
def test_every_run_is_started_once_whoever_dies(capsys):
    seed_of_chance = random.randrange(10**6)
    chance = random.Random(seed_of_chance)
    with System() as system:
        embedded = EmbeddedPostgres.start_blocking(system.folder / "pgdata")
        try:
            other = free_port()
            asyncio.run(embedded.ensure_database())
            system.start_server("--postgres-url", embedded.dsn)
            system.start_server("--postgres-url", embedded.dsn, port=other)
            urls = (system.url, f"http://127.0.0.1:{other}")
            created = asyncio.run(create(embedded.dsn, RUNS))
            agents = [start(system, f"tiny-{number}", urls[number % 2]) for number in range(AGENTS)]
            kills = 0

            def ended():
                return asyncio.run(count_ended(embedded.dsn))

            for part in range(1, 11):
                wait_until(lambda part=part: ended() >= RUNS * part / 11, 900, system.text)
                victim = chance.randrange(AGENTS)
                agents[victim].popen.send_signal(signal.SIGKILL)
                agents[victim].popen.wait()
                agents[victim] = start(system, f"tiny-{victim}", urls[chance.randrange(2)])
                kills += 1
            wait_until(lambda: ended() == RUNS, 900, system.text)
            found = violations(asyncio.run(histories_of(embedded.dsn)), created)
            assert found == [], f"seed {seed_of_chance}: {len(found)} violations: {found[:10]}"
            with capsys.disabled():
                print(f" [{RUNS} runs, {kills} agents killed, seed {seed_of_chance}] ", end="")
            for process in reversed(system.processes):
                if process.popen.poll() is None:
                    process.stop()
        finally:
            embedded.stop_blocking()


def start(system, name, url):
    return system._start(str(TINY_AGENT), name, PREFECT__CLOUD__API=url)


async def create(dsn, count):
    async with await Database.connect(dsn) as database:
        seeded = await seed(database)
        requests = [CreateFlowRun(flow_id=seeded.flow_id, labels=[]) for _ in range(count)]
        ids = set()
        for first in range(0, count, 500):
            ids |= set(
                await asyncio.gather(
                    *(create_flow_run(database, seeded.caller, request) for request in requests[first : first + 500])
                )
            )
        return ids


async def count_ended(dsn):
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval("select count(*) from flow_run where state = 'Success'")
    finally:
        await connection.close()


async def histories_of(dsn):
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(
            "select flow_run_id, array_agg(state order by version, timestamp) as states from flow_run_state "
            "group by flow_run_id"
        )
    finally:
        await connection.close()
    return {row["flow_run_id"]: list(row["states"]) for row in rows}
