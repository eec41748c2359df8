"""`prefect demo`: a server, an agent and three example flows, in one terminal and with nothing to set up.

Everything runs on free ports and in a directory of its own, and is gone when the command ends: after the first run
with `--exit`, else at Ctrl-C.  The exit code with `--exit` is that of the run.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flowstead_cli.errors import CliError
from flowstead_cli.output.lines import GREEN, say, step
from flowstead_cli.wiring import command_app

if TYPE_CHECKING:
    from flowstead_cli.demo_stack import DemoStack

app = command_app()

PROJECT = "hello-world"
FLOW = "hello-world"
_FLOW_FILES = ("hello_world.py", "mapped.py", "retrying.py")
_POLL = 0.5


@dataclass(frozen=True, slots=True)
class Options:
    """How to run the demo."""

    exit_after_run: bool = False
    data_dir: Path | None = None
    port: int = 0


def run(options: Options) -> int:
    """Run the demo until Ctrl-C, or with `exit_after_run` until its first run is finished; returns the exit code.

    Raises:
        CliError: something could not be started, or ended unexpectedly.
    """
    from flowstead_cli.demo_stack import DemoStack
    from flowstead_cli.processes import raise_on_termination, undisturbed

    stack = DemoStack(data_dir=options.data_dir, port=options.port)
    with raise_on_termination():
        try:
            with step("Starting the server and its PostgreSQL..."):
                stack.__enter__()
            try:
                code = _tour(stack)
                if not options.exit_after_run:
                    _say_what_next(stack)
                    _wait(stack)
            finally:
                with undisturbed(), step("Stopping the agent, the server and its PostgreSQL..."):
                    stack.__exit__(None, None, None)
        except KeyboardInterrupt:
            return 130 if options.exit_after_run else 0
    return code


def _tour(stack: "DemoStack") -> int:
    say(f"The API is at {stack.url}")
    stack.start_agent()
    flows = Path(__file__).parent.parent / "demo_flows"
    _command(stack, "create", "project", PROJECT)
    files = [argument for name in _FLOW_FILES for argument in ("-p", str(flows / name))]
    _command(stack, "register", "--project", PROJECT, *files, shown=("register", "--project", PROJECT, "-p", "..."))
    return _command(stack, "run", "--name", FLOW, "--param", "name=Flowstead", "--watch", must_succeed=False)


def _command(
    stack: "DemoStack", *arguments: str, shown: tuple[str, ...] | None = None, must_succeed: bool = True
) -> int:
    say(f"\n$ prefect {' '.join(shown or arguments)}", GREEN)
    process = stack.command(*arguments)
    while (code := process.wait_for(_POLL)) is None:
        stack.check()
    if code != 0 and must_succeed:
        raise CliError(f"`prefect {arguments[0]}` failed with exit code {code}, so the demo cannot go on.")
    return code


def _say_what_next(stack: "DemoStack") -> None:
    from prefect._generated import operations as ops
    from prefect.client.session import Session

    with Session(stack.url) as session:
        flow_id = session.execute(ops.flows_by_name(name=FLOW, archived=False, limit=1))[0].id
    mutation = f'mutation {{ create_flow_run(input: {{ flow_id: "{flow_id}" }}) {{ id }} }}'
    body = json.dumps({"query": mutation})
    say(
        f"\nThe API is at {stack.url}, and an agent waits for flow runs.  Create one in a browser, with examples:\n",
        GREEN,
    )
    say(f"  {stack.url}/graphql\n")
    say("from another terminal:\n")
    say(f"  curl -s {stack.url} -H 'Content-Type: application/json' -d '{body}'\n")
    say("or with the command line, which then needs to know where the API is:\n")
    say(f"  export PREFECT__CLOUD__API={stack.url}")
    say(f"  prefect run --name {FLOW} --param name=Marvin --watch")
    say("  prefect get flow-runs\n")
    say("Press Ctrl-C to stop everything.", GREEN)


def _wait(stack: "DemoStack") -> None:
    try:
        while True:
            stack.check()
            time.sleep(_POLL)
    except KeyboardInterrupt:
        say()


@app.command("demo")
def main(
    exit_after_run: Annotated[
        bool, typer.Option("--exit", help="End after the first run, with its exit code, instead of waiting for Ctrl-C.")
    ] = False,
    data_dir: Annotated[
        Path | None, typer.Option(help="Keep the data in this directory. [default: a temporary one]")
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the API. [default: a free one]", show_default=False)
    ] = 0,
) -> int:
    """Start a server and an agent of their own, register three example flows, and run the first one."""
    return run(Options(exit_after_run=exit_after_run, data_dir=data_dir, port=port))
