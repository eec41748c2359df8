"""`python -m flowstead_server [services|retention]`: a server, only its services, or one round of retention.

Server and services run until Ctrl-C or SIGTERM. Exit code 0 after that or when the work is done, 1 if it could not be
done (one sentence on standard error says why), 2 for a command line that cannot be understood.
"""

import asyncio
import os
import sys
from collections.abc import Sequence

import uvloop

from flowstead_server.command_line import Program
from flowstead_server.domain.errors import FlowsteadError
from flowstead_server.logging import configure_logging
from flowstead_server.settings import Settings, read_settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a program of the server and return the exit code of its process."""
    arguments = sys.argv[1:] if arguments is None else arguments
    program = Program.SERVER
    if arguments and arguments[0] in {each.value for each in Program}:
        program = Program(arguments[0])
        arguments = arguments[1:]
    try:
        settings = read_settings(arguments, os.environ, program)
        configure_logging(settings.log_level)
        uvloop.run(_run(program, settings))
    except FlowsteadError as error:
        print(f"flowstead_server: {error}", file=sys.stderr)  # noqa: T201 - this is a program
        return 1
    except (asyncio.CancelledError, KeyboardInterrupt):
        return 0
    return 0


async def _run(program: Program, settings: Settings) -> None:
    if program is Program.SERVICES:
        from flowstead_server.services_process import run_services  # noqa: PLC0415 - each program loads its own parts

        await run_services(settings)
    elif program is Program.RETENTION:
        from flowstead_server.retention_process import run_retention  # noqa: PLC0415 - as above

        await run_retention(settings)
    else:
        from flowstead_server.app import run  # noqa: PLC0415 - as above

        await run(settings)


if __name__ == "__main__":
    sys.exit(main())
