"""An agent whose launcher only writes states: `python tiny_agent.py NAME`.

A launched run is Running and then Success, in one request, so that the agent's death never leaves one half done.
"""

import asyncio
import signal
import sys
from datetime import UTC, datetime

from flowstead_agent.agent import Agent
from flowstead_agent.api import AgentApi
from flowstead_agent.console import agent_logger
from flowstead_agent.errors import ApiError, ClaimLostError, LaunchError
from flowstead_agent.launchers.protocol import Ended
from flowstead_agent.settings import AgentSettings
from prefect._generated import inputs
from prefect._generated import operations as ops
from prefect.client.session import AsyncSession, Session
from prefect.configuration import config


class Done:
    description = "states only"

    def __init__(self):
        self.ended = asyncio.get_running_loop().create_future()
        self.ended.set_result(Ended(ok=True, reason="It ended.", output=""))

    async def terminate(self, _grace_seconds):
        return "nothing"


class StateWriter:
    def __init__(self, api):
        self._api = api

    async def start(self):
        pass

    async def watch(self):
        await asyncio.Event().wait()

    async def close(self):
        pass

    async def launch(self, run):
        states = [
            inputs.SetFlowRunStateInput(
                flow_run_id=run.flow_run_id,
                state={"type": name, "message": datetime.now(UTC).isoformat()},
            )
            for name in ("Running", "Success")
        ]
        try:
            await self._api._send(ops.set_flow_run_states(states=states), run)
        except (ApiError, ClaimLostError) as error:
            raise LaunchError(str(error)) from error
        return Done()


async def main(name):
    settings = AgentSettings(
        kind="TinyAgent", name=name, launch_slots=50, settle_seconds=0.0, lease_seconds=5, poll_seconds=1.0
    )
    api = AgentApi(AsyncSession(), [])
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    agent = Agent(settings, api, StateWriter(api), agent_logger(name, "WARNING", config.logging.format), Session())
    await agent.run(stop)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
