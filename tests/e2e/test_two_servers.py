"""Two servers on one database with an agent each: every run is started once, and events cross from one to the other."""

import asyncio
import concurrent.futures
import time

import pytest
from agent_world import free_port
from system_world import System, wait_until

from flowstead_server.db.embedded import EmbeddedPostgres
from prefect.client.live import flow_run_pages
from prefect.client.session import AsyncSession

RUNS = 60


@pytest.fixture(scope="module")
def system():
    with System() as it:
        embedded = EmbeddedPostgres.start_blocking(it.folder / "pgdata")
        asyncio.run(embedded.ensure_database())
        try:
            it.other_port = free_port()
            it.other_url = f"http://127.0.0.1:{it.other_port}"
            # both at once: one of them applies the migrations
            first = it.start_server("--postgres-url", embedded.dsn, wait=False)
            second = it.start_server("--postgres-url", embedded.dsn, port=it.other_port, wait=False)
            first.wait_for('"port"')
            second.wait_for('"port"')
            it.start_agent("of-the-first")
            it.start_agent("of-the-second", PREFECT__CLOUD__API=it.other_url)
            it.flows = it.register("everyday.py")
            yield it
            for process in reversed(it.processes):
                process.stop()
        finally:
            embedded.stop_blocking()


def unfinished(system, ids):
    """Return all about the runs that have not ended."""
    runs = [system.run(flow_run_id) | {"log": system.messages(flow_run_id)} for flow_run_id in ids]
    return [run for run in runs if run["state"] not in {"Success", "Failed"}], system.text()


def test_every_run_is_started_exactly_once(system):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        ids = list(
            pool.map(
                lambda number: system.create_run(
                    system.flows["quick"], (system.url, system.other_url)[number % 2], parameters={"number": number}
                ),
                range(RUNS),
            )
        )
    statement = "select count(*) from flow_run where state in ('Success', 'Failed') and id = any($1::uuid[])"
    wait_until(lambda: system.rows(statement, ids)[0]["count"] == RUNS, 60, lambda: unfinished(system, ids))
    rows = system.rows(
        "select flow_run_id, array_agg(state order by version) as states from flow_run_state "
        "where flow_run_id = any($1::uuid[]) group by flow_run_id",
        ids,
    )
    assert len(rows) == RUNS
    assert {tuple(row["states"]) for row in rows} == {("Scheduled", "Submitted", "Running", "Success")}
    logs = system.rows("select message from log where message like 'run number %'")
    assert sorted(row["message"] for row in logs) == sorted(f"run number {number}" for number in range(RUNS))
    agents = system.rows("select agent_id, count(*) from flow_run where id = any($1::uuid[]) group by agent_id", ids)
    assert len(agents) == 2, "both agents took part"


async def test_a_watcher_of_one_server_sees_what_the_other_one_writes_at_once(system):
    due = "2099-01-01T00:00:00+00:00"
    flow_run_id = system.create_run(system.flows["quick"], scheduled_start_time=due)
    mutation = """mutation($id: UUID!, $m: String!) {
        write_run_logs(input: {logs: [{flow_run_id: $id, message: $m, name: "x", level: "INFO"}]}) { success } }"""
    seen = asyncio.Queue()

    async def watch():
        async with AsyncSession(system.url) as session:
            async for page in flow_run_pages(session, flow_run_id):
                for event in page.events:
                    await seen.put((time.monotonic(), event.message))

    watcher = asyncio.create_task(watch())
    try:
        async with asyncio.timeout(60), AsyncSession(system.other_url) as other:
            while (await seen.get())[1] != "Flow run scheduled.":
                pass
            delays = []
            for number in range(20):
                await other.execute_text(mutation, {"id": flow_run_id, "m": f"m{number}"})
                written = time.monotonic()
                moment, message = await seen.get()
                assert message == f"m{number}"
                delays.append(moment - written)
    finally:
        watcher.cancel()
        await asyncio.wait([watcher])
    # by a hint, that is; the slow polling behind it takes seconds
    assert sorted(delays)[len(delays) // 2] < 0.5, delays


def test_a_restarted_server_lets_the_other_one_work_on(system):
    first = system.processes[0]
    assert first.stop() == 0
    try:
        flow_run_id = system.create_run(system.flows["quick"], system.other_url)
        wait_until(lambda: system.run(flow_run_id, system.other_url)["state"] == "Success", about=system.text)
    finally:
        dsn = first.popen.args[first.popen.args.index("--postgres-url") + 1]
        system.start_server("--postgres-url", dsn)
