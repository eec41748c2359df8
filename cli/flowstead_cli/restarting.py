"""`prefect run --restart`: let a run that has ended go on with what did not succeed.

The run is restarted once, also when the answer to the request is lost.  Exit code 0 means that it was restarted, or
with `--watch` that it then succeeded.
"""

import json
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from flowstead_cli.errors import CliError
from flowstead_cli.output.lines import item, say, step
from flowstead_cli.output.tables import age
from flowstead_cli.output.tail import without_controls

if TYPE_CHECKING:
    from prefect._generated.types import RestartFlowRun
    from prefect.client.session import Session

__all__ = ["restart"]

_MOST_NAMES = 10
_MOST_CANDIDATES = 10
# In this order, the causes before what follows from them.
_REASONS = {
    "FAILED": "they had failed",
    "UNFINISHED": "they had not run, or not to their end",
    "ASKED": "they were asked for",
    "RESULT_MISSING": "their results are needed and were not stored",
    "MAPPED_ANEW": "the list that they are mapped over is made anew",
    "NEVER_KEPT": "what they give is never kept",
    "DOWNSTREAM": "they depend on tasks that run again",
}


def restart(
    wanted: str,
    *,
    again: tuple[str, ...] = (),
    dry_run: bool = False,
    watch: bool = False,
    logs: bool = True,
    quiet: bool = False,
    as_json: bool = False,
) -> int:
    """Restart a flow run and return the exit code.

    Args:
        wanted: its id or its name.
        again: tasks that are to run again although they succeeded.
        dry_run: only say what would run again.
        watch: follow the run until it is finished.
        logs: whether watching shows log lines.
        quiet: print only the id of the run.
        as_json: print what runs again, or with `watch` the finished run, as a JSON object.

    Raises:
        CliError: there is no such run, or there are several.
        prefect.exceptions.ClientError: the run cannot be restarted, or the API cannot be reached.
    """
    from flowstead_cli.api import open_session
    from prefect._generated import operations as ops

    with open_session() as session:
        flow_run_id = _find(session, wanted)
        with step(f"{'Looking at' if dry_run else 'Restarting'} flow run {wanted!r}...", quiet=quiet or as_json):
            answer = session.execute(
                ops.restart_flow_run(
                    flow_run_id=flow_run_id, tasks=list(again), idempotency_key=uuid4().hex, dry_run=dry_run
                )
            )
        if quiet:
            say(flow_run_id)
        elif not as_json:
            item(f"UUID: {flow_run_id}")
            _describe(answer, dry_run=dry_run)
        elif dry_run or not watch:
            again_as_json = [asdict(run) for run in answer.again]
            say(json.dumps({"id": answer.id, "kept": answer.kept, "again": again_as_json}, indent=2))
        if dry_run or not watch:
            return 0
        from flowstead_cli.watching import watch as follow

        return follow(session, flow_run_id, logs=logs, quiet=quiet, as_json=as_json, after=answer.cursor)


def _find(session: "Session", wanted: str) -> str:
    from prefect._generated import operations as ops

    try:
        return str(UUID(wanted))
    except ValueError:
        pass
    runs = session.execute(ops.flow_runs_by_name(name=wanted, limit=_MOST_CANDIDATES + 1))
    if not runs:
        raise CliError(f"There is no flow run with the name {wanted!r}; `prefect get flow-runs` lists the newest.")
    if len(runs) > 1:
        listed = [f"  {run.id}  (flow {run.flow.name!r}, {run.state}, created {age(run.created)})" for run in runs]
        if len(listed) > _MOST_CANDIDATES:
            listed[_MOST_CANDIDATES:] = ["  ..."]
        headline = f"Found multiple flow runs with the name {wanted!r}. Give the id of one of these:"
        raise CliError("\n".join([headline, *listed]))
    return runs[0].id


def _describe(answer: "RestartFlowRun", *, dry_run: bool) -> None:
    what = "would run again" if dry_run else "run again"
    say(f"{len(answer.again)} task run(s) {what}, {answer.kept} are kept.")
    for reason, sentence in _REASONS.items():
        counts = Counter(run.task_name or run.task_slug or "task" for run in answer.again if run.reason == reason)
        if counts:
            names = [name if count == 1 else f"{name} ({count})" for name, count in counts.items()]
            more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
            item(without_controls(f"{', '.join(names[:_MOST_NAMES])}{more}: {sentence}"))
