"""`ShellTask`: run a command of the shell."""

import contextlib
import logging
import os
import subprocess
import tempfile
from collections.abc import Mapping
from typing import Any

import psutil

from prefect.core.task import Task
from prefect.engine import signals
from prefect.utilities.tasks import defaults_from_attrs

__all__ = ["ShellTask"]


class ShellTask(Task):
    """Runs `command` with a shell, after `helper_script` in the same shell.

    Args:
        command: What to run; may also be given when the task is called.
        env: Environment variables beside those of this process.
        helper_script: Lines to run before, to define functions or change the directory.
        shell: The shell.
        return_all: Return the list of lines instead of the last one.
        log_stderr: Log the output at ERROR if the command fails.
        stream_output: Log every line as it comes: True for INFO, or a level by number or name.
        kwargs: As for `Task`.

    Raises:
        TypeError: `stream_output` is no level.
    """

    def __init__(
        self,
        command: str | None = None,
        env: Mapping[str, str] | None = None,
        helper_script: str | None = None,
        shell: str = "bash",
        return_all: bool = False,
        log_stderr: bool = False,
        stream_output: bool | int | str = False,
        **kwargs: Any,
    ) -> None:
        self.command = command
        self.env = env
        self.helper_script = helper_script
        self.shell = shell
        self.return_all = return_all
        self.log_stderr = log_stderr
        self.stream_output = stream_output
        self._level = _level(stream_output)
        super().__init__(**kwargs)

    @defaults_from_attrs("command", "env", "helper_script")
    def run(
        self, command: str | None = None, env: Mapping[str, str] | None = None, helper_script: str | None = None
    ) -> str | list[str] | None:
        """Return the last line of the output, or with `return_all` every line; without output None, or [].

        Standard error is part of the output.  Raises `FAIL` with the output as result if the command fails, and
        `TypeError` without a command.
        """
        if command is None:
            raise TypeError("run() missing required argument: 'command'")
        with tempfile.NamedTemporaryFile("w", prefix="prefect-", encoding="utf-8") as script:
            script.write(f"{helper_script}\n{command}" if helper_script else command)
            script.flush()
            lines, code = self._execute([self.shell, script.name], {**os.environ, **(env or {})})
        output = lines if self.return_all else lines[-1] if lines else None
        if code != 0:
            message = f"Command failed with exit code {code}"
            self.logger.error(message)
            if self.log_stderr and lines:
                self.logger.error("\n".join(lines))
            raise signals.FAIL(message, result=output)
        return output

    def _execute(self, arguments: list[str], env: Mapping[str, str]) -> tuple[list[str], int]:
        lines = []
        process = subprocess.Popen(  # noqa: S603 - running the user's command is the purpose
            arguments,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
        )
        assert process.stdout is not None
        with process:
            try:
                for raw in process.stdout:
                    line = raw.rstrip()
                    lines.append(line)
                    if self._level is not None:
                        self.logger.log(self._level, line)
            except BaseException:
                # A timeout or a cancelled flow run: nothing of the command may go on.
                _kill(process.pid)
                raise
        return lines, process.returncode


def _kill(pid: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for process in [*root.children(recursive=True), root]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def _level(stream_output: bool | int | str) -> int | None:
    if isinstance(stream_output, bool):
        return logging.INFO if stream_output else None
    if isinstance(stream_output, str):
        number = logging.getLevelNamesMapping().get(stream_output)
        if number is None:
            raise TypeError(f"`stream_output` is {stream_output!r}, which is no level of logging such as 'INFO'.")
        return number
    return stream_output
