"""All runs that an agent has claimed, from the claim to the end of their process.

`take` never fails and never waits: each run goes its own way in a task (see `deployment`).  Launches are bounded;
what has been launched is not.  At the end of the agent, runs that have not been launched go back to the queue.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

from flowstead_agent.api import AgentApi
from flowstead_agent.cancelling import cancel_all
from flowstead_agent.clock import ApiClock
from flowstead_agent.deployment import Deployment, Phase, Surroundings
from flowstead_agent.launchers.protocol import ClaimedRun, Launcher
from flowstead_agent.logs.run_log import RunLog
from flowstead_agent.outage import Outage
from flowstead_agent.outbox import Outbox
from flowstead_agent.settings import AgentSettings

__all__ = ["Deployments"]


class Deployments:
    """The runs of one agent.  Belongs to one event loop; `room_again` is called when more runs may be claimed."""

    def __init__(
        self,
        settings: AgentSettings,
        api: AgentApi,
        launcher: Launcher,
        log: RunLog,
        outbox: Outbox,
        outage: Outage,
        logger: logging.Logger,
        clock: ApiClock,
        room_again: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._logger = logger
        self._room_again = room_again
        self._slots = asyncio.Semaphore(settings.launch_slots)
        self._clock = clock
        self._surroundings = Surroundings(settings, api, launcher, log, outbox, outage, logger, self._slots, clock)
        self._deployments: dict[str, Deployment] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def room(self) -> int:
        """Return how many runs may be claimed now."""
        now = self._clock.now()
        starting = [item for item in self._deployments.values() if item.phase < Phase.RUNNING]
        due = sum(1 for item in starting if item.run.start_time <= now)
        room = min(self._settings.launch_slots - due, self._settings.max_waiting - len(starting))
        if self._settings.max_concurrent is not None:
            room = min(room, self._settings.max_concurrent - len(self._deployments))
        return room

    def take(self, run: ClaimedRun, until: float) -> None:
        """Start the way of a claimed run; the claim holds until the loop's time `until`, unless it is extended."""
        for deployment in self._deployments.values():
            if deployment.run.flow_run_id == run.flow_run_id:
                # The API gives a run away again only after it has taken it back.
                deployment.lose()
        deployment = Deployment(run, until, self._surroundings)
        task = asyncio.create_task(deployment.go(), name=f"flow-run-{run.flow_run_id}")
        self._deployments[run.claim_token] = deployment
        self._tasks[run.claim_token] = task
        deployment.on_room = self._room_again
        task.add_done_callback(lambda done: self._forget(run.claim_token, done))

    def held(self) -> Sequence[ClaimedRun]:
        """Return the runs whose claim is to be extended."""
        return [deployment.run for deployment in self._deployments.values() if not deployment.is_lost]

    def extended(self, asked: Iterable[ClaimedRun], lost: set[str], until: float) -> None:
        """Note the API's answer about the claims of `asked`."""
        for run in asked:
            deployment = self._deployments.get(run.claim_token)
            if deployment is None:
                continue
            if run.flow_run_id in lost:
                deployment.lose()
            else:
                deployment.claimed_until = until

    def cancel(self, flow_run_ids: Iterable[str]) -> None:
        """Stop the processes of those of these runs that this agent holds; told more than once, it does so once."""
        wanted = set(flow_run_ids)
        for deployment in self._deployments.values():
            if deployment.run.flow_run_id in wanted:
                deployment.cancel()

    async def drain(self) -> None:
        """Return when no run waits for its start or is being launched."""
        while unstarted := [item for item in self._deployments.values() if item.phase < Phase.STARTING]:
            await asyncio.wait([asyncio.ensure_future(item.left_waiting.wait()) for item in unstarted])

    async def hand_back(self, seconds: float) -> None:
        """Give runs that wait for their start back to the queue, and let launches that have begun succeed."""
        waiting = [item for item in self._deployments.values() if item.phase is Phase.WAITING and not item.is_lost]
        if waiting:
            self._logger.info("Handing back %d flow run(s) that have not started.", len(waiting))
        for deployment in waiting:
            self._tasks[deployment.run.claim_token].cancel()
        launching = [
            asyncio.ensure_future(item.left_waiting.wait())
            for item in self._deployments.values()
            if item.phase is Phase.LAUNCHING
        ]
        steps = [asyncio.ensure_future(deployment.hand_back()) for deployment in waiting]
        if steps or launching:
            _, late = await asyncio.wait([*steps, *launching], timeout=seconds)
            for step in late:
                step.cancel()

    async def close(self, seconds: float) -> None:
        """Stop following what was launched, after what is being reported has had `seconds` to get through."""
        reporting = [
            self._tasks[item.run.claim_token] for item in self._deployments.values() if item.phase is Phase.REPORTING
        ]
        if reporting:
            await asyncio.wait(reporting, timeout=seconds)
        await cancel_all(list(self._tasks.values()))

    def _forget(self, claim_token: str, task: asyncio.Task[None]) -> None:
        deployment = self._deployments.pop(claim_token, None)
        self._tasks.pop(claim_token, None)
        self._room_again()
        if not task.cancelled() and task.exception() is not None and deployment is not None:
            self._logger.error("Following flow run %s failed", deployment.run.flow_run_id, exc_info=task.exception())
