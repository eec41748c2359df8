"""Hints between processes, over a real database."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from uuid import uuid4

from flowstead_server.db import Database
from flowstead_server.pubsub.hub import Hub
from flowstead_server.pubsub.topics import RunFollower

DEADLINE = 10.0


@contextlib.asynccontextmanager
async def running_hub(database: Database) -> AsyncIterator[Hub]:
    hub = Hub(database.open_connection)
    await hub.start()
    try:
        await asyncio.wait_for(hub.wait_connected(), DEADLINE)
        yield hub
    finally:
        await hub.stop()


async def woken(follower: RunFollower) -> None:
    await asyncio.wait_for(follower._woken.wait(), DEADLINE)


async def test_a_run_hint_reaches_followers_here_and_in_other_processes(database: Database) -> None:
    run, other = uuid4(), uuid4()
    async with running_hub(database) as here, running_hub(database) as there:
        with here.follow_run(run) as near, there.follow_run(run) as far, there.follow_run(other) as unconcerned:
            here.runs_changed([run])
            assert near._woken.is_set()
            await woken(far)
            assert not unconcerned._woken.is_set()


async def test_a_queue_hint_names_the_label_sets(database: Database) -> None:
    tenant = uuid4()
    async with running_hub(database) as here, running_hub(database) as there:
        with there.follow_queue(tenant) as follower:
            here.queue_changed(tenant, [3, 4])
            await woken(follower)
            assert follower.take() == {3, 4}


async def test_a_freed_slot_concerns_all_label_sets_of_its_tenant(database: Database) -> None:
    tenant = uuid4()
    async with running_hub(database) as here, running_hub(database) as there:
        with (
            here.follow_queue(tenant) as near,
            there.follow_queue(tenant) as far,
            there.follow_queue(uuid4()) as unconcerned,
        ):
            here.queue_changed(tenant, [3])
            here.slots_freed(tenant)
            assert near.take() is None
            await woken(far)
            assert far.take() is None
            assert not unconcerned._woken.is_set()


async def test_a_flood_of_hints_reaches_everybody(database: Database) -> None:
    runs = [uuid4() for _ in range(5_000)]
    async with running_hub(database) as here, running_hub(database) as there:
        with there.follow_run(runs[0]) as first, there.follow_run(runs[-1]) as last:
            for run in runs:
                here.runs_changed([run])
            await woken(first)
            await woken(last)


async def test_a_lost_connection_is_made_again_and_everybody_is_told_to_look(database: Database) -> None:
    run = uuid4()
    async with running_hub(database) as here, running_hub(database) as there:
        with here.follow_run(run) as near, there.follow_run(run) as far:
            killed = await database.fetch(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and application_name = 'flowstead hints'"
            )
            assert len(killed) == 2
            await woken(near)
            await woken(far)
            await asyncio.wait_for(asyncio.gather(here.wait_connected(), there.wait_connected()), DEADLINE)
            await far.wait(0)
            here.runs_changed([run])
            await woken(far)


async def test_hints_never_block_without_a_database() -> None:
    async def refuse() -> None:
        raise OSError("nobody there")

    hub = Hub(refuse)  # type: ignore[arg-type]
    await hub.start()
    run = uuid4()
    with hub.follow_run(run) as follower:
        for _ in range(10_000):
            hub.runs_changed([uuid4()])
        hub.runs_changed([run])
        await woken(follower)
    await hub.stop()
