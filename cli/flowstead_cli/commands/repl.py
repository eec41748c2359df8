"""`prefect repl`: a prompt for commands, with their history and with completion of their names.

Each command is a process of its own, so that none changes what the next one sees, and Ctrl-C ends the command only.
The prompt ends with `exit`, `quit` or the end of its input; what the commands do has no influence on the exit code.
"""

import contextlib
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flowstead_cli.output.lines import YELLOW, say
from flowstead_cli.wiring import command_app, command_below

app = command_app()

_PROMPT = "prefect> "
_HISTORY_LENGTH = 1000
_ENDS = frozenset({"exit", "quit"})


def candidates(root: Any, line: str) -> list[str]:
    """Return the commands that the last word of a line may become."""
    *words, unfinished = line.split(" ")
    group = root
    for word in filter(None, words):
        group = command_below(group, word)
        if group is None:
            return []
    names = [*getattr(group, "commands", ())]
    if group is root:
        names += sorted(_ENDS)
    return [f"{name} " for name in names if name.startswith(unfinished)]


@contextlib.contextmanager
def _line_editing(history: Path) -> Iterator[None]:
    try:
        import readline
    except ModuleNotFoundError:
        # Some Pythons are built without it; the prompt works all the same.
        yield
        return
    from flowstead_cli.main import build

    root = build()
    readline.set_completer_delims(" ")
    readline.set_completer(lambda _, index: dict(enumerate(candidates(root, readline.get_line_buffer()))).get(index))
    readline.parse_and_bind("bind ^I rl_complete" if "libedit" in (readline.__doc__ or "") else "tab: complete")
    with contextlib.suppress(OSError):
        readline.read_history_file(history)
    readline.set_history_length(_HISTORY_LENGTH)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            history.parent.mkdir(parents=True, exist_ok=True)
            readline.write_history_file(history)


def _execute(words: list[str]) -> None:
    with subprocess.Popen([sys.executable, "-m", "prefect", *words]) as process:
        while True:
            try:
                process.wait()
            except KeyboardInterrupt:
                # The command got it too, and decides itself what it means.
                continue
            return


def run() -> None:
    """Read commands and execute them until there are no more."""
    from flowstead_cli.server_records import home
    from prefect._version import __version__

    say(f"Prefect {__version__}. Type a command without `prefect`, such as `get flows`; `exit` ends.")
    with _line_editing(home() / "repl-history"):
        while True:
            try:
                words = shlex.split(input(_PROMPT))
            except EOFError:
                say()
                return
            except KeyboardInterrupt:
                say()
                continue
            except ValueError as error:
                say(f"Cannot read that: {error}.", YELLOW)
                continue
            if words[:1] == ["prefect"]:
                del words[0]
            if words[:1] and words[0] in _ENDS:
                return
            if words:
                _execute(words)


@app.command("repl")
def main() -> None:
    """Open a prompt for commands, with history and completion; `exit` ends it."""
    run()
