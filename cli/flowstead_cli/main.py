"""The entry point of the `prefect` command.

Parses nothing itself: it finds the command, loads its module, and turns what the command raises into a sentence and
an exit code.  0 is success, 1 a failure, 2 a wrong command line.  A reader that goes away (`| head`) ends a command
quietly.
"""

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from typer.main import get_install_completion_arguments

from flowstead_cli.errors import explained
from flowstead_cli.wiring import CONTEXT_SETTINGS, Entry, LazyGroup, help_asked_for

__all__ = ["ENTRIES", "build", "cli", "main"]

_HELP = """Run, register and watch flows, and run the server and the agents that execute them.

Start with `prefect demo`: it starts a server and an agent, and runs a first flow."""

_RUN = "Flows and flow runs"
_ASK = "What the API knows"
_SERVE = "Server and agents"
_MISC = "Settings and information"
_INTERNAL = "Used by agents and flow runs"

ENTRIES = (
    Entry("run", "flowstead_cli.commands.run", "Run a flow: here, or through an agent.", _RUN),
    Entry("cancel", "flowstead_cli.commands.cancel", "Cancel flow runs.", _RUN),
    Entry("logs", "flowstead_cli.commands.logs", "Print the log of a flow run.", _RUN),
    Entry("register", "flowstead_cli.commands.register", "Register flows into a project.", _RUN),
    Entry("build", "flowstead_cli.commands.build", "Build flows into a JSON file, to register them later.", _RUN),
    Entry("create", "flowstead_cli.commands.create", "Create objects in the API: projects.", _ASK),
    Entry("delete", "flowstead_cli.commands.delete", "Delete objects in the API: projects.", _ASK),
    Entry("get", "flowstead_cli.commands.get", "List flows, flow runs, tasks, projects, agents and logs.", _ASK),
    Entry("describe", "flowstead_cli.commands.describe", "Describe a flow, its tasks, or a flow run in full.", _ASK),
    Entry("kv", "flowstead_cli.commands.kv", "Keep small values by key, for flows to share.", _ASK),
    Entry("limits", "flowstead_cli.commands.limits", "Limit how many runs go on at the same time.", _ASK),
    Entry("demo", "flowstead_cli.commands.demo", "Start a server and an agent and run a first flow.", _SERVE),
    Entry("server", "flowstead_cli.commands.server", "Run the server, and manage it.", _SERVE),
    Entry("agent", "flowstead_cli.commands.agent", "Run agents, which execute flow runs.", _SERVE),
    Entry("backend", "flowstead_cli.commands.backend", "Choose the API that commands talk to.", _MISC),
    Entry("auth", "flowstead_cli.commands.auth", "Log in to an API, and manage API keys and tenants.", _MISC),
    Entry("config", "flowstead_cli.commands.config", "Show the settings in force.", _MISC),
    Entry("diagnostics", "flowstead_cli.commands.diagnostics", "Show what to add to a report of a problem.", _MISC),
    Entry("repl", "flowstead_cli.commands.repl", "Open a prompt for commands.", _MISC),
    Entry("version", "flowstead_cli.commands.version", "Show the version.", _MISC),
    Entry("execute", "flowstead_cli.commands.execute", "Execute the flow run of this process.", _INTERNAL),
    Entry("heartbeat", "flowstead_cli.commands.heartbeat", "Report that a flow run is alive.", _INTERNAL),
)


def build() -> LazyGroup:
    """Return the whole command line as a group that loads its commands when they are called."""
    return LazyGroup(
        name="prefect",
        help=_HELP,
        entries=ENTRIES,
        # `--install-completion` and `--show-completion`; with them typer also answers the shell's questions.
        params=list(get_install_completion_arguments()),
        rich_markup_mode=None,
        context_settings=CONTEXT_SETTINGS,
    )


cli = build()


def _print_sentence(message: str) -> None:
    if not message:
        return
    text = f"\x1b[31m{message}\x1b[0m" if sys.stderr.isatty() and "NO_COLOR" not in os.environ else message
    print(text, file=sys.stderr, flush=True)


def _finish(code: int) -> int:
    # The interpreter flushes standard output once more when it ends; it must find something that accepts the rest.
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return code or 1
    return code


def run(args: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; only defects raise."""
    args = sys.argv[1:] if args is None else args
    try:
        text = help_asked_for(cli, "prefect", args)
        if text is not None:
            typer.echo(text)
            return _finish(0)
        code: Any = cli.main(args=args, prog_name="prefect", standalone_mode=False)
    except BrokenPipeError:
        return _finish(1)
    except typer.Abort:
        code = _finish(1)
        print("\nAborted!", file=sys.stderr)
    except typer.TyperException as error:
        code = _finish(error.exit_code)
        show = getattr(error, "show", None)
        if show is None:
            _print_sentence(f"Error: {error.message}")
        else:
            show()
    except BaseException as error:
        sentence = explained(error)
        if sentence is None:
            raise
        code = _finish(int(getattr(error, "exit_code", 1)))
        _print_sentence(sentence)
    return _finish(code if isinstance(code, int) else 0)


def main() -> None:
    """Run the command line of this process and exit with its code."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            # Whoever started this closed it; there is nobody to read.
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - open until the end
        elif isinstance(stream, io.TextIOWrapper):
            # What a flow logs is not always what a terminal can show.
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run())


if __name__ == "__main__":
    main()
