"""`python -m flowstead_server`: run a server until Ctrl-C or SIGTERM.

Exit code 0 after either, 1 if it could not be started (one sentence on standard error says why), 2 for a command line
that cannot be understood.
"""

import asyncio
import os
import sys
from collections.abc import Sequence

import uvloop

from flowstead_server.app import run
from flowstead_server.domain.errors import FlowsteadError
from flowstead_server.logging import configure_logging
from flowstead_server.settings import read_settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a server and return the exit code of its process."""
    try:
        settings = read_settings(sys.argv[1:] if arguments is None else arguments, os.environ)
        configure_logging(settings.log_level)
        uvloop.run(run(settings))
    except FlowsteadError as error:
        print(f"flowstead_server: {error}", file=sys.stderr)  # noqa: T201 - this is a program
        return 1
    except (asyncio.CancelledError, KeyboardInterrupt):
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
