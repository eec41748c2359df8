"""The processes of the demo: a server with its own PostgreSQL and an agent, in a directory that is removed at the end.

Nothing of the user's is touched: home directory, configuration, port and data are the demo's own.  Leaving the `with`
block ends every process that was started, and what those started, also flow runs that are still going on.
"""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from flowstead_cli.errors import CliError
from flowstead_cli.processes import (
    ChildProcess,
    ServerProcess,
    deferred_signals,
    descendants,
    stop_orphans,
    undisturbed,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DemoStack"]

_LOG_TAIL = 20
_AGENT_NAME = "demo-agent"


class DemoStack:
    """A server and an agent of their own.

    Args:
        data_dir: where to keep data beyond the demo; None uses a temporary directory.
        port: of the API; 0 takes a free one.

    Raises:
        CliError: on entering: the directory cannot be written, or the server does not start.
    """

    def __init__(self, *, data_dir: Path | None = None, port: int = 0) -> None:
        self._kept = data_dir
        self._port = port
        self._home = Path()
        self._server: ServerProcess | None = None
        self._agent: ChildProcess | None = None
        self._command: ChildProcess | None = None
        self.url = ""
        self.env: Mapping[str, str] = {}

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _start(self) -> None:
        try:
            if self._kept is None:
                # A short name: PostgreSQL's socket lives below, and the path of a socket has a limit.
                with deferred_signals():
                    self._home = Path(tempfile.mkdtemp(prefix="flowstead-"))
                # The embedded PostgreSQL may run as another user, which must be able to reach its directory.
                self._home.chmod(0o755)
            else:
                self._home = self._kept.expanduser().absolute()
                self._home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CliError(f"Cannot use the directory '{error.filename}' for the demo: {error.strerror}.") from None
        with deferred_signals():
            self._server = self._start_server()
        ready = self._server.wait_until_ready()
        if ready is None:
            raise CliError(f"The server did not start. It said:\n{self._tail('server.log')}")
        self.url = f"http://127.0.0.1:{ready['port']}"
        self.env = self._environment(PREFECT__CLOUD__API=self.url, PREFECT__SERVER__ENDPOINT=self.url)

    def _environment(self, **settings: str) -> dict[str, str]:
        # The user's own settings must not bend the demo, nor the demo theirs.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT__")}
        return {
            **inherited,
            "PREFECT__HOME_DIR": str(self._home),
            "PREFECT__USER_CONFIG_PATH": str(self._home / "config.toml"),
            "PREFECT__BACKEND_CONFIG_PATH": str(self._home / "backend.toml"),
            "PREFECT__BACKEND": "server",
            **settings,
        }

    def _start_server(self) -> ServerProcess:
        arguments = ["--host", "127.0.0.1", "--port", str(self._port), "--data-dir", str(self._home / "pgdata")]
        with (self._home / "server.log").open("wb") as output:
            return ServerProcess(arguments, env=self._environment(), output=output)

    def start_agent(self) -> None:
        """Start the agent; it needs a moment to be there, and finds the runs that wait for it."""
        with (self._home / "agent.log").open("wb") as output, deferred_signals():
            self._agent = ChildProcess(
                "prefect", ["agent", "local", "start", "--name", _AGENT_NAME], env=self.env, output=output
            )

    def command(self, *arguments: str) -> ChildProcess:
        """Start a `prefect` command against this server; it prints in this terminal, but asks nothing."""
        with deferred_signals():
            self._command = ChildProcess("prefect", arguments, env=self.env)
        return self._command

    def check(self) -> None:
        """Check that server and agent are there.

        Raises:
            CliError: one of them ended; the end of its log is in the text.
        """
        for name, process in (("server", self._server), ("agent", self._agent)):
            if process is not None and process.poll() is not None:
                raise CliError(f"The demo's {name} ended unexpectedly. It said:\n{self._tail(f'{name}.log')}")

    def _tail(self, name: str) -> str:
        try:
            lines = (self._home / name).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return "(nothing)"
        return "\n".join(f"  {line}" for line in lines[-_LOG_TAIL:]) or "  (nothing)"

    def _stop(self) -> None:
        with undisturbed():
            if self._command is not None:
                self._command.stop()
            # An agent leaves its flow runs to themselves when it is stopped; the demo must not.
            for process in (self._agent, self._server):
                if process is not None:
                    orphans = descendants(process.pid)
                    process.stop()
                    stop_orphans(orphans)
            if self._kept is None and self._home != Path():
                with contextlib.suppress(OSError):
                    shutil.rmtree(self._home)
