"""Flow runs as processes of the agent's own machine.

Each run is a process in its own session, forked from a server that has the library imported, or started by a new
interpreter where forking is not possible or the run asks for another interpreter environment.  It outlives the agent.
A run config of another platform, `Docker` storage, a missing working directory and a system that has no room for
another process raise `LaunchError`.  A fork server that cannot be started is logged and replaced by new
interpreters.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from flowstead_agent.environment import ApiAccess, changes_interpreter, local_environment, python_path
from flowstead_agent.errors import (
    ForkServerError,
    LaunchError,
    NonexistentWorkingDirError,
    UnsupportedRunConfigError,
    UnsupportedStorageError,
)
from flowstead_agent.launchers.family import Family
from flowstead_agent.launchers.fork_client import ForkServerClient
from flowstead_agent.launchers.fork_server import ForkedOff
from flowstead_agent.launchers.output import OutputFile
from flowstead_agent.launchers.protocol import ClaimedRun, Ended, Launched

__all__ = ["PRELOADED", "LocalLauncher", "LocalLauncherSettings", "LocalProcess"]

ENTRY = "prefect.engine.execute:execute_flow_run"
COMMAND = (sys.executable, "-m", "prefect", "execute", "flow-run")
# What a run needs before it can set its first state; imported once instead of by every process.
PRELOADED = ("prefect", "prefect.engine.execute", "flowstead_agent.launchers.preload")
_OUTPUT_LOOK_SECONDS = 5.0
_SHOW_LOOK_SECONDS = 0.1
_FORKS_PAUSE_SECONDS = 60.0
_STORAGES_OF_OTHER_PLATFORMS = frozenset({"Docker"})


@dataclass(frozen=True, slots=True)
class LocalLauncherSettings:
    """What every run of a local agent has in common."""

    access: ApiAccess
    labels: Sequence[str]
    agent_env: dict[str, Any]
    send_logs: bool
    logging_level: str
    import_paths: Sequence[str] = ()
    show_flow_logs: bool = False
    entry: str = ENTRY
    """what a forked process calls, `module:function`"""
    preload: Sequence[str] = PRELOADED
    """modules that the fork server imports"""
    fork: bool = hasattr(os, "fork")
    """false: every run is started by a new interpreter"""
    forked_off: ForkedOff | None = None
    """a fork server that is there already"""


class LocalProcess:
    """A launched run: a process group of this machine."""

    def __init__(self, pid: int, ended: asyncio.Future[Ended], send: Callable[[int], Awaitable[None]]) -> None:
        self.pid = pid
        self._ended = ended
        self._send = send

    @property
    def description(self) -> str:
        """Return `PID: 123`."""
        return f"PID: {self.pid}"

    @property
    def ended(self) -> Awaitable[Ended]:
        """Return how the process ended, when it has."""
        return asyncio.shield(self._ended)

    async def terminate(self, grace_seconds: float) -> str:
        """End the process and all that it has started by SIGTERM, and what is left after `grace_seconds` by SIGKILL."""
        where = f"PID {self.pid} on {socket.gethostname()}"
        if self._ended.done():
            return f"nothing: {where} had ended by itself"
        family = await asyncio.to_thread(Family.of, self.pid)
        deadline = asyncio.get_running_loop().time() + grace_seconds
        await self._send(signal.SIGTERM)
        family.terminate_strays()
        forced = False
        try:
            await asyncio.wait_for(asyncio.shield(self._ended), grace_seconds)
        except TimeoutError:
            forced = True
            await self._send(signal.SIGKILL)
            await asyncio.shield(self._ended)
        left = max(0.0, deadline - asyncio.get_running_loop().time())
        killed = await asyncio.to_thread(family.end, left) + forced
        others = f" and {family.size} more of its processes" if family.size else ""
        how = f"SIGTERM, and by SIGKILL for {killed} that went on" if killed else "SIGTERM"
        return f"{where}{others} by {how}"


class LocalLauncher:
    """Starts runs as processes; see the module.  Belongs to one event loop."""

    supported_run_config = "LocalRun"

    def __init__(self, settings: LocalLauncherSettings, logger: logging.Logger) -> None:
        self._settings = settings
        self._logger = logger
        self._directory = os.getcwd()  # noqa: PTH109 - environments hold strings
        self._forks = ForkServerClient(settings.preload, forked_off=settings.forked_off) if settings.fork else None
        self._forks_again_at = 0.0
        self._followers: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Start the fork server, so that the first run need not wait for it."""
        if self._forks is not None:
            await self._start_forks(self._forks)

    async def launch(self, claimed: ClaimedRun) -> Launched:
        """Start a run.  Raises `LaunchError`, or `LaunchOutcomeUnknownError`."""
        directory = self._checked_directory(claimed)
        run_env = dict((claimed.run_config or {}).get("env") or {})
        environment = self._environment(claimed, directory, run_env)
        try:
            output = OutputFile()
        except OSError as error:
            raise LaunchError(f"The output of the run cannot be kept: {error}.") from error
        try:
            process = await self._start_process(environment, directory, run_env, output)
        except BaseException:
            output.close()
            raise
        self._logger.debug("Submitted flow run %s to process PID %d", claimed.flow_run_id, process.pid)
        return process

    async def watch(self) -> None:
        """Return never: a machine that is gone takes its agent with it."""
        await asyncio.Event().wait()

    async def close(self) -> None:
        """End the fork server; processes go on."""
        for follower in self._followers:
            follower.cancel()
        await asyncio.gather(*self._followers, return_exceptions=True)
        if self._forks is not None:
            await self._forks.close()

    def _checked_directory(self, claimed: ClaimedRun) -> str:
        run_config = claimed.run_config or {}
        kind = run_config.get("type", self.supported_run_config)
        if kind not in {self.supported_run_config, "UniversalRun"}:
            raise UnsupportedRunConfigError(claimed.flow_run_id, str(kind), self.supported_run_config)
        storage = str((claimed.storage or {}).get("type", ""))
        if storage in _STORAGES_OF_OTHER_PLATFORMS:
            raise UnsupportedStorageError(storage)
        directory = run_config.get("working_dir") if kind == self.supported_run_config else None
        if directory is None:
            return self._directory
        if not os.path.isdir(directory):  # noqa: PTH112 - environments hold strings
            raise NonexistentWorkingDirError(claimed.flow_run_id, str(directory))
        return str(directory)

    def _environment(self, claimed: ClaimedRun, directory: str, run_env: dict[str, Any]) -> dict[str, str]:
        settings = self._settings
        return local_environment(
            inherited=os.environ,
            logging_level=settings.logging_level,
            python_path=python_path(directory, os.environ.get("PYTHONPATH"), settings.import_paths),
            agent_env=settings.agent_env,
            run_env=run_env,
            send_logs=settings.send_logs,
            access=settings.access,
            agent_labels=settings.labels,
            flow_run_id=claimed.flow_run_id,
            flow_id=claimed.flow_id,
            claim_token=claimed.claim_token,
        )

    async def _start_process(
        self, environment: dict[str, str], directory: str, run_env: dict[str, Any], output: OutputFile
    ) -> LocalProcess:
        forks = self._forks
        if (
            forks is not None
            and not changes_interpreter(environment, forks.environment, run_env)
            and await self._start_forks(forks)
        ):
            return await self._fork(forks, environment, directory, output)
        return await self._spawn(environment, directory, output)

    async def _start_forks(self, forks: ForkServerClient) -> bool:
        loop = asyncio.get_running_loop()
        if loop.time() < self._forks_again_at:
            return False
        try:
            await forks.start()
        except ForkServerError as error:
            # The reason may pass, as a lack of memory does.
            self._forks_again_at = loop.time() + _FORKS_PAUSE_SECONDS
            self._logger.warning(
                "%s Flow runs are started by new interpreters for now, which is slower; it is tried again in %d s.",
                error,
                _FORKS_PAUSE_SECONDS,
            )
            return False
        return True

    async def _fork(
        self, forks: ForkServerClient, environment: dict[str, str], directory: str, output: OutputFile
    ) -> LocalProcess:
        forked = await forks.launch(
            environment=environment, directory=directory, output=output.path, entry=self._settings.entry
        )

        async def send(number: int) -> None:
            await forks.signal(forked.pid, number)

        return self._follow(forked.pid, forked.ended, output, send)

    async def _spawn(self, environment: dict[str, str], directory: str, output: OutputFile) -> LocalProcess:
        try:
            # Not asyncio's: its transports kill the process when the agent's loop ends.
            process = await asyncio.to_thread(
                subprocess.Popen,
                COMMAND,
                env=environment,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=output.fileno(),
                stderr=output.fileno(),
                start_new_session=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise LaunchError(f"The process of the run could not be started: {error}.") from error

        async def send(number: int) -> None:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, number)

        return self._follow(process.pid, _wait_in_thread(process), output, send)

    def _follow(
        self, pid: int, code: Awaitable[int | None], output: OutputFile, send: Callable[[int], Awaitable[None]]
    ) -> LocalProcess:
        output.forget_name()
        ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        follower = asyncio.create_task(self._follow_to_end(pid, code, output, ended), name=f"follow-{pid}")
        self._followers.add(follower)
        follower.add_done_callback(self._followers.discard)
        return LocalProcess(pid, ended, send)

    async def _follow_to_end(
        self, pid: int, code: Awaitable[int | None], output: OutputFile, ended: asyncio.Future[Ended]
    ) -> None:
        look_seconds = _SHOW_LOOK_SECONDS if self._settings.show_flow_logs else _OUTPUT_LOOK_SECONDS
        waiter = asyncio.ensure_future(code)
        try:
            while not (await asyncio.wait({waiter}, timeout=look_seconds))[0]:
                self._show(output)
                output.shorten()
            self._show(output)
            how = waiter.result()
            if how:
                self._logger.info("Process PID %d returned non-zero exit code %d!", pid, how)
            ended.set_result(Ended(ok=how == 0, reason=_sentence(pid, how), output=output.tail() if how != 0 else ""))
        finally:
            waiter.cancel()
            ended.cancel()
            output.close()

    def _show(self, output: OutputFile) -> None:
        if self._settings.show_flow_logs:
            while data := output.unseen():
                sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()


def _wait_in_thread(process: "subprocess.Popen[bytes]") -> asyncio.Future[int | None]:
    loop = asyncio.get_running_loop()
    code: asyncio.Future[int | None] = loop.create_future()

    def report(value: int) -> None:
        if not code.done():
            code.set_result(value)

    def wait() -> None:
        value = process.wait()
        with contextlib.suppress(RuntimeError):  # the agent has ended, and its loop with it
            loop.call_soon_threadsafe(report, value)

    threading.Thread(target=wait, name=f"wait-for-{process.pid}", daemon=True).start()
    return code


def _sentence(pid: int, code: int | None) -> str:
    if code is None:
        return f"The process of the flow run (PID {pid}) ended; its exit code is not known."
    if code >= 0:
        return f"The process of the flow run (PID {pid}) ended with exit code {code}."
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = "; the kernel does this when memory is used up" if name == "SIGKILL" else ""
    return f"The process of the flow run (PID {pid}) was killed by {name}{hint}."
