"""`prefect server retention`: forget old logs and runs now, or say what would go.

The work is done by a process of the server on its database; here its answer is shown.
"""

import json
import signal
import subprocess
import sys
from typing import Annotated, Any

import typer

from flowstead_cli.errors import CliError
from flowstead_cli.output.lines import say
from flowstead_cli.output.tables import render_table
from flowstead_cli.server_options import (
    DataDir,
    ExternalPostgres,
    PostgresUrl,
    StartOptions,
    database_arguments,
    start_options,
)

_UNITS = ("B", "kB", "MB", "GB", "TB")
_THOUSAND = 1000


def run(options: StartOptions, *, dry_run: bool, as_json: bool) -> None:
    """Print what goes, or went.

    Raises:
        CliError: the process ended without an answer; it has said why.
    """
    from flowstead_cli.processes import raise_on_termination

    arguments = ["retention", *database_arguments(options), *(["--dry-run"] if dry_run else [])]
    # -P: a folder named like one of our packages in the working directory must not be run instead.
    command = [sys.executable, "-P", "-m", "flowstead_server", *arguments]
    with raise_on_termination(), subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            output, _ = process.communicate()
        except KeyboardInterrupt:
            process.send_signal(signal.SIGTERM)
            process.wait()
            raise
    if process.returncode or not output.strip():
        raise CliError(exit_code=process.returncode if process.returncode > 0 else 1)
    answer = json.loads(output)
    if as_json:
        say(json.dumps(answer, indent=2))
    else:
        _show(answer, dry_run=dry_run)


def _show(answer: dict[str, Any], *, dry_run: bool) -> None:
    rows = answer["rows"]
    if not rows and not answer["log_days"]:
        say("Nothing is old enough to be deleted.")
        return
    table = [
        (row["project"] or "(none)", row["state"] or "", row["kind"], f"{row['rows']:,}", _size(row["bytes"]))
        for row in rows
    ]
    say(render_table(["PROJECT", "STATE", "KIND", "ROWS", "SIZE"], table))
    total = sum(row["rows"] for row in rows)
    verb = "would be" if dry_run else "were to be"
    say(
        f"{total:,} rows {verb} deleted, about {_size(sum(row['bytes'] for row in rows))} by the size of their tables; "
        f"{answer['log_days']} whole days of the log among them."
    )
    if not dry_run:
        done = answer["deleted"]
        say(
            f"Deleted: {done['log_lines']:,} log lines, {done['flow_runs']:,} flow runs with {done['task_runs']:,} "
            f"task runs, {done['messages']:,} messages, {done['log_days']:,} days of the log as tables."
        )
        if done["postponed"]:
            say(f"Left to the next time, because they were in use: {done['postponed']:,}.")


def _size(number: float) -> str:
    unit = 0
    while number >= _THOUSAND and unit < len(_UNITS) - 1:
        number /= _THOUSAND
        unit += 1
    return f"{number:.0f} {_UNITS[unit]}" if unit == 0 else f"{number:.1f} {_UNITS[unit]}"


def retention(
    data_dir: DataDir = None,
    postgres_url: PostgresUrl = None,
    external_postgres: ExternalPostgres = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Delete nothing, only show what would go.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object instead of a table.")] = False,
) -> None:
    """Delete logs and finished flow runs that are old enough, now instead of within the hour.

    Shows what goes, by project, state and kind.  Rows are counted; sizes are estimated.  How long things
    are kept is a setting of the server, and of each project.

    Example:  prefect server retention --dry-run
    """
    options = start_options(data_dir=data_dir, postgres_url=postgres_url, external_postgres=external_postgres)
    run(options, dry_run=dry_run, as_json=as_json)
