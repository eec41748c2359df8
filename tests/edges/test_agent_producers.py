"""Whatever wakes an agent, the subscription or polling, it does the same: one table of scenarios, each with either."""

import asyncio
import signal
from datetime import UTC, datetime, timedelta

import pytest
from agent_world import DEADLINE, World
from postgres_fixtures import _new_database

import prefect
from flowstead_agent.agent import Agent
from flowstead_agent.api import AgentApi
from flowstead_agent.console import agent_logger
from flowstead_agent.errors import NoSubscriptionsError
from flowstead_agent.launchers.protocol import Ended
from flowstead_agent.settings import AgentSettings
from prefect import Flow, task
from prefect.client.session import AsyncSession, Session
from prefect.utilities.configuration import set_temporary_config

pytestmark = pytest.mark.anyio
NEVER = 3600.0


class Watched(AgentApi):
    """An API that notes which loop claims."""

    claimed_by: set

    async def claim(self, **arguments):
        self.claimed_by.add(asyncio.current_task().get_name())
        return await super().claim(**arguments)


class WithoutSubscriptions(Watched):
    """An API behind something that accepts no websockets."""

    async def hints(self):
        raise NoSubscriptionsError("No websockets here.")
        yield


# How an agent is woken: its API, and how long it sleeps between two polls while a subscription is up.
PRODUCERS = {"subscription": (Watched, NEVER), "polling": (WithoutSubscriptions, 1.0)}


class Launched:
    """A run that goes on until it is told to end."""

    description = "nothing"

    def __init__(self, claimed):
        self.claimed = claimed
        self.at = datetime.now(UTC)
        self.was_terminated = False
        self._ended = asyncio.get_running_loop().create_future()

    @property
    def ended(self):
        return asyncio.shield(self._ended)

    def end(self):
        self._ended.set_result(Ended(ok=True, reason="It ended.", output=""))

    async def terminate(self, _grace_seconds):
        self.was_terminated = True
        self.end()
        return "it"


class Launcher:
    def __init__(self, changed):
        self.launched = []
        self.changed = changed

    async def start(self):
        pass

    async def watch(self):
        await asyncio.Event().wait()

    async def close(self):
        pass

    async def launch(self, claimed):
        async with self.changed:
            self.launched.append(Launched(claimed))
            self.changed.notify_all()
        return self.launched[-1]

    @property
    def ids(self):
        return [one.claimed.flow_run_id for one in self.launched]

    async def wait_for(self, condition):
        async with asyncio.timeout(DEADLINE), self.changed:
            await self.changed.wait_for(lambda: condition(self.ids))

    def of(self, flow_run_id):
        return self.launched[self.ids.index(flow_run_id)]


class Scene:
    """The agents of one test, all woken in the same way, in a world with one flow."""

    def __init__(self, world, producer):
        self.world = world
        self.api, self.poll_seconds = PRODUCERS[producer]
        self.label = f"{producer}-{datetime.now(UTC).timestamp()}"
        self.claimed_by = set()
        self.changed = asyncio.Condition()
        self._running = []

    def agent(self, **settings):
        """Start an agent and return its launcher."""
        launcher = Launcher(self.changed)
        api = self.api(AsyncSession(self.world.url), [self.label])
        api.claimed_by = self.claimed_by
        settings = AgentSettings(
            kind="SceneAgent",
            name="scene",
            labels=[self.label],
            poll_seconds=self.poll_seconds,
            lease_seconds=5,
            settle_seconds=0.05,
            **settings,
        )
        stop = asyncio.Event()
        logger = agent_logger("scene", "CRITICAL", "%(message)s")
        agent = Agent(settings, api, launcher, logger, Session(self.world.url))
        self._running.append((stop, asyncio.create_task(agent.run(stop))))
        return launcher

    async def run(self, **members):
        members = {"labels": [self.label], **members}
        return await asyncio.to_thread(self.world.create_run, self.world.flow_id, **members)

    async def close(self):
        for stop, _ in self._running:
            stop.set()
        await asyncio.gather(*(task for _, task in self._running))


@pytest.fixture(scope="module")
def world(tmp_path_factory, postgres, template_database):
    databases = _new_database(postgres, template_database)
    it = World(tmp_path_factory.mktemp("producers"), next(databases))
    it.start_server()

    @task
    def nothing():
        pass

    with Flow("scene") as flow:
        nothing()
    with set_temporary_config({"cloud.api": it.url, "home_dir": str(it.folder / "home")}):
        client = prefect.Client()
        client.create_project("tests")
        it.flow_id = flow.register("tests", no_url=True, build=False)
        client.session.close()
        yield it
    it.close()
    next(databases, None)


async def a_run_that_is_ready_is_launched(scene):
    launcher = scene.agent()
    first = await scene.run()
    await launcher.wait_for(lambda ids: ids == [first])
    # and one that comes while nothing happens
    second = await scene.run()
    await launcher.wait_for(lambda ids: ids == [first, second])


async def a_run_is_launched_at_its_time(scene):
    launcher = scene.agent()
    start = datetime.now(UTC) + timedelta(seconds=2)
    later = await scene.run(scheduled_start_time=start.isoformat())
    now = await scene.run()
    await launcher.wait_for(lambda ids: ids == [now, later])
    assert start <= launcher.of(later).at < start + timedelta(seconds=2)


async def a_run_with_other_labels_is_left_alone(scene):
    launcher = scene.agent()
    other = await scene.run(labels=[scene.label, "other"])
    mine = await scene.run()
    await launcher.wait_for(lambda ids: ids == [mine])
    assert scene.world.run(other)["state"] == "Scheduled"


async def a_run_that_is_to_be_cancelled_is_ended(scene):
    launcher = scene.agent()
    flow_run_id = await scene.run()
    await launcher.wait_for(lambda ids: ids == [flow_run_id])
    set_state(scene.world, flow_run_id, "Running")
    cancel = "mutation($id: UUID!) { cancel_flow_run(input: {flow_run_id: $id}) { state } }"
    assert scene.world.graphql(cancel, id=flow_run_id)["cancel_flow_run"]["state"] == "Cancelling"
    async with asyncio.timeout(DEADLINE):
        await launcher.of(flow_run_id).ended
    assert launcher.of(flow_run_id).was_terminated


async def a_server_that_was_away_is_asked_again(scene):
    launcher = scene.agent()
    first = await scene.run()
    await launcher.wait_for(lambda ids: ids == [first])
    await asyncio.to_thread(scene.world.server.stop, signal.SIGKILL)
    await asyncio.to_thread(scene.world.start_server)
    second = await scene.run()
    await launcher.wait_for(lambda ids: ids == [first, second])


async def a_run_is_launched_by_one_of_two_agents(scene):
    one, other = scene.agent(), scene.agent()
    ids = {await scene.run() for _ in range(8)}
    await one.wait_for(lambda _: ids <= {*one.ids, *other.ids})
    assert sorted(one.ids + other.ids) == sorted(ids)


async def a_run_that_was_taken_away_is_ended(scene):
    launcher = scene.agent()
    flow_run_id = await scene.run()
    await launcher.wait_for(lambda ids: ids == [flow_run_id])
    set_state(scene.world, flow_run_id, "Scheduled")
    # it comes back under a new claim, and what runs under the old one is ended
    await launcher.wait_for(lambda ids: ids == [flow_run_id] * 2)
    async with asyncio.timeout(DEADLINE):
        await launcher.launched[0].ended
    assert launcher.launched[0].was_terminated
    assert not launcher.launched[1].was_terminated


async def no_more_runs_are_launched_than_there_is_room_for(scene):
    launcher = scene.agent(max_concurrent=2)
    ids = [await scene.run() for _ in range(3)]
    await launcher.wait_for(lambda launched: len(launched) == 2)
    (waiting,) = set(ids) - set(launcher.ids)
    assert scene.world.run(waiting)["state"] == "Scheduled"
    launcher.launched[0].end()
    await launcher.wait_for(lambda launched: launched[2:] == [waiting])


SCENARIOS = [
    a_run_that_is_ready_is_launched,
    a_run_is_launched_at_its_time,
    a_run_with_other_labels_is_left_alone,
    a_run_that_is_to_be_cancelled_is_ended,
    a_run_is_launched_by_one_of_two_agents,
    a_run_that_was_taken_away_is_ended,
    no_more_runs_are_launched_than_there_is_room_for,
    a_server_that_was_away_is_asked_again,
]


def set_state(world, flow_run_id, name):
    world.graphql(
        """mutation($id: UUID!, $state: JSON!) {
            set_flow_run_states(input: {states: [{flow_run_id: $id, state: $state}]}) { states { status } } }""",
        id=flow_run_id,
        state={"type": name, "message": "by somebody else"},
    )


@pytest.mark.parametrize("producer", PRODUCERS)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
async def test_agents_do_the_same_whatever_wakes_them(world, scenario, producer):
    scene = Scene(world, producer)
    try:
        await scenario(scene)
    finally:
        await scene.close()
    assert scene.claimed_by == {"claim"}, "the other loops only give reasons"
