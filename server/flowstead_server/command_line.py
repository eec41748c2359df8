"""The command lines of the server's programs. argparse answers what it does not understand, and ends the process."""

import argparse
from enum import Enum

DEFAULT_PORT = 4200
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class Program(Enum):
    """What `python -m flowstead_server` is to be; the value is its first argument, empty for the server."""

    SERVER = ""
    SERVICES = "services"
    RETENTION = "retention"


def parser_of(program: Program) -> argparse.ArgumentParser:
    """Return the parser of a program. Options that only other programs have are as if they were not given."""
    name = f"python -m flowstead_server {program.value}".rstrip()
    parser = argparse.ArgumentParser(prog=name, description=_ABOUT[program])
    parser.set_defaults(
        host=None,
        port=None,
        allow_unauthenticated=False,
        access_log=False,
        no_ui=False,
        no_services=False,
        disable_introspection=False,
        dry_run=False,
        metrics_port=None,
    )
    if program is Program.RETENTION:
        parser.add_argument("--dry-run", action="store_true", help="delete nothing, only say what would go")
    if program is Program.SERVICES:
        parser.add_argument("--metrics-port", type=int, help="answer at /metrics on this port; 0 takes a free one")
    if program is not Program.RETENTION:
        parser.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
        parser.add_argument(
            "--allow-unauthenticated", action="store_true", help="listen on any address without a login"
        )
    if program is Program.SERVER:
        _add_server_options(parser)
    database = parser.add_mutually_exclusive_group()
    database.add_argument("--data-dir", help="directory of the embedded PostgreSQL (default: ~/.prefect/pgdata)")
    database.add_argument("--postgres-url", help="use this PostgreSQL (15 or newer) instead of the embedded one")
    parser.add_argument("--no-upgrade", action="store_true", help="apply no migrations; end if the database needs some")
    parser.add_argument("--ready-fd", type=int, help="write one JSON line here when it works")
    parser.add_argument("--log-level", choices=LEVELS, help="least level to log (default: INFO)")
    return parser


_ABOUT = {
    Program.SERVER: "Run the Flowstead API server until Ctrl-C or SIGTERM.",
    Program.SERVICES: "Run the services of the Flowstead server, without the API, until Ctrl-C or SIGTERM.",
    Program.RETENTION: "Forget old logs and runs once, and print what goes as a JSON object.",
}


def _add_server_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, help=f"port to listen on; 0 takes a free one (default: {DEFAULT_PORT})")
    parser.add_argument("--access-log", action="store_true", help="log a line for each request")
    parser.add_argument("--no-ui", action="store_true", help="show browsers no playground")
    parser.add_argument("--no-services", action="store_true", help="run no services; other processes do")
    parser.add_argument(
        "--disable-introspection", action="store_true", help="do not tell clients what the API consists of"
    )
