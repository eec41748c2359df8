"""An agent that executes runs within its own process: `python executor.py NAME`.

An execution writes what the process of a flow run writes, with the claim token, and asks as often until it has an
answer: states, heartbeats, log lines in batches. When the API says that the claim is over, some executions write all
the same, to find out whether that is accepted.
"""

import asyncio
import contextlib
import os
import random
import signal
import sys
import uuid
from pathlib import Path

from history import Journal

from flowstead_agent.agent import Agent
from flowstead_agent.api import AgentApi
from flowstead_agent.console import agent_logger
from flowstead_agent.errors import AgentError, ApiError, ApiRejectedError, ClaimLostError
from flowstead_agent.launchers.protocol import Ended
from flowstead_agent.settings import AgentSettings
from prefect._generated import inputs
from prefect._generated import operations as ops
from prefect.client.session import AsyncSession, Session
from prefect.configuration import config

LABEL, NARROW = "tiny", "narrow"
BEAT_SECONDS = 1.0
# How long an execution asks without an answer before it gives up, as a process of a flow run does.
PATIENCE = 60.0
LONG_SECONDS = float(os.environ.get("CHAOS_LONG_SECONDS", "6"))
CARELESS = 0.3


class Execution:
    """One run under one claim."""

    description = "an execution within its agent"

    def __init__(self, api, run, journal):
        self._api = api
        self._run = run
        self._journal = journal
        self._chance = random.Random(run.claim_token)
        self._who = f"execution {run.claim_token}"
        self._ended = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._go())

    @property
    def ended(self):
        return asyncio.shield(self._ended)

    async def terminate(self, _grace_seconds):
        self._task.cancel()
        await asyncio.wait([self._task])
        return self.description

    async def _go(self):
        beats = asyncio.create_task(self._beat())
        end = Ended(ok=True, reason="It ended.", output="")
        try:
            await self._execute()
        except ClaimLostError:
            if self._chance.random() < CARELESS:
                await self._write_all_the_same()
        except asyncio.CancelledError:
            end = Ended(ok=False, reason="It was ended by SIGTERM.", output="")
        except AgentError as error:
            end = Ended(ok=False, reason=f"It gave up: {error!r}", output="")
        finally:
            beats.cancel()
            self._ended.set_result(end)

    async def _execute(self):
        await self._set_flow_run("Running")
        info = await self._insist(ops.flow_run_info(id=self._run.flow_run_id))
        failed = False
        for number, task_run in enumerate(sorted(info.task_runs, key=lambda one: one.id)):
            state = task_run.serialized_state["type"]
            if state not in {"Success", "Failed"}:
                await self._execute_task(number, task_run.id)
            failed = failed or state == "Failed"
        await self._set_flow_run("Failed" if failed else "Success")

    async def _execute_task(self, number, task_run_id):
        await self._set_task_run(task_run_id, "Running")
        seconds = self._chance.choice([0.02, 0.1, 0.3] * 7 + [LONG_SECONDS])
        for batch in range(3):
            await self._write_lines([f"{self._who} task {number} line {batch}.{line}" for line in range(2)])
            await asyncio.sleep(seconds / 3)
        await self._set_task_run(task_run_id, "Success")

    async def _write_lines(self, texts, ask=None):
        logs = [
            inputs.WriteRunLogInput(flow_run_id=self._run.flow_run_id, message=text, name="chaos") for text in texts
        ]
        await (ask or self._insist)(ops.write_run_logs(logs=logs, batch_id=str(uuid.uuid4())))
        self._journal.write("lines", run=self._run.flow_run_id, texts=texts)

    async def _set_flow_run(self, name, ask=None):
        state = {"type": name, "message": self._who}
        await (ask or self._insist)(
            ops.set_flow_run_states(
                states=[inputs.SetFlowRunStateInput(flow_run_id=self._run.flow_run_id, state=state)]
            )
        )

    async def _set_task_run(self, task_run_id, name, ask=None):
        state = {"type": name, "message": self._who}
        await (ask or self._insist)(
            ops.set_task_run_states(states=[inputs.SetTaskRunStateInput(task_run_id=task_run_id, state=state)])
        )

    async def _write_all_the_same(self):
        """Write under a claim that is over; what is accepted shows in the history as an overlap."""
        for write in (
            lambda: self._write_lines([f"{self._who} after its claim"], self._ask),
            lambda: self._set_flow_run("Success", self._ask),
        ):
            with contextlib.suppress(AgentError):
                await write()

    async def _beat(self):
        while True:
            with contextlib.suppress(AgentError):
                await self._ask(ops.update_flow_run_heartbeat(flow_run_id=self._run.flow_run_id))
            await asyncio.sleep(BEAT_SECONDS)

    async def _ask(self, request):
        return await self._api._send(request, self._run)

    async def _insist(self, request):
        """Return the answer; ask again while there is none, and while a limit is full."""
        loop = asyncio.get_running_loop()
        heard = loop.time()
        while True:
            try:
                answer = await self._ask(request)
                heard = loop.time()
                if not any(state.status == "QUEUED" for state in getattr(answer, "states", ())):
                    return answer
            except ApiRejectedError:
                raise
            except ApiError:
                if loop.time() - heard > PATIENCE:
                    raise
            await asyncio.sleep(self._chance.uniform(0.1, 0.6))


class Executor:
    """The launcher: a run is a task of this process."""

    def __init__(self, api, journal):
        self._api = api
        self._journal = journal

    async def start(self):
        pass

    async def watch(self):
        await asyncio.Event().wait()

    async def close(self):
        pass

    async def launch(self, run):
        return Execution(self._api, run, self._journal)


async def main(name):
    settings = AgentSettings(
        kind="Executor",
        name=name,
        labels=[LABEL, NARROW],
        launch_slots=15,
        max_concurrent=15,
        settle_seconds=0.0,
        lease_seconds=5,
        poll_seconds=1.0,
        grace_seconds=1.0,
    )
    api = AgentApi(AsyncSession(), [LABEL, NARROW])
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    journal = Journal(Path(os.environ["CHAOS_JOURNALS"]))
    logger = agent_logger(name, "WARNING", config.logging.format)
    await Agent(settings, api, Executor(api, journal), logger, Session()).run(stop)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
