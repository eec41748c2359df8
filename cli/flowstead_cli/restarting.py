"""`prefect run --restart`: let a run that has ended go on with what did not succeed.

The run is restarted once, also when the answer to the request is lost.  Exit code 0 means that it was restarted, or
with `--watch` or `--execute` that it then succeeded.
"""

import json
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from flowstead_cli.agentless import AGENTLESS, agentless_label, execute_here
from flowstead_cli.errors import CliError
from flowstead_cli.output.lines import item, say, step
from flowstead_cli.output.tables import age
from flowstead_cli.output.tail import without_controls

if TYPE_CHECKING:
    from flowstead_cli.commands.run import Options
    from prefect._generated.types import RestartFlowRun
    from prefect.client.session import Session

__all__ = ["restart"]

# What says how a new run is to be; a restarted one stays as it is, but for its labels.
_OF_NEW_RUNS = (
    "flow_id",
    "project",
    "path",
    "module",
    "name",
    "run_name",
    "context",
    "params",
    "param_file",
    "log_level",
    "idempotency_key",
    "start",
    "priority",
    "schedule",
)
_OPTIONS = {"flow_id": "id", "params": "param"}
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


def restart(options: "Options", wanted: str) -> int:
    """Restart the flow run with this id or name and return the exit code.

    Raises:
        CliError: there is no such run, there are several, no agent would take it, or options do not go together.
        prefect.exceptions.ClientError: the run cannot be restarted, or the API cannot be reached.
    """
    from flowstead_cli.api import open_session

    _check_options(options)
    silent = options.quiet or options.as_json
    with open_session() as session:
        flow_run_id = _find(session, wanted)
        if not (options.execute or options.labels or options.dry_run):
            _check_agents_may_take(session, flow_run_id)
        with step(f"{'Looking at' if options.dry_run else 'Restarting'} flow run {wanted!r}...", quiet=silent):
            answer = _restarted(session, flow_run_id, options)
        if options.quiet:
            say(flow_run_id)
        elif not options.as_json:
            item(f"UUID: {flow_run_id}")
            _describe(answer, dry_run=options.dry_run)
        elif options.dry_run or not options.watch:
            again = [asdict(run) for run in answer.again]
            say(json.dumps({"id": answer.id, "kept": answer.kept, "again": again}, indent=2))
        if options.dry_run:
            return 0
        if options.execute:
            return execute_here(session, flow_run_id, log_level=None, no_logs=options.no_logs, quiet=options.quiet)
        if not options.watch:
            return 0
        from flowstead_cli.watching import watch

        return watch(
            session,
            flow_run_id,
            logs=not options.no_logs,
            quiet=options.quiet,
            as_json=options.as_json,
            after=answer.cursor,
        )


def _check_options(options: "Options") -> None:
    given = [name for name in _OF_NEW_RUNS if getattr(options, name) not in (None, (), False)]
    if given:
        listed = ", ".join(f"`--{_OPTIONS.get(name, name).replace('_', '-')}`" for name in given)
        raise CliError(f"Error: a restarted run stays as it is; `--restart` does not go with {listed}.")


def _check_agents_may_take(session: "Session", flow_run_id: str) -> None:
    from prefect._generated import operations as ops

    run = session.execute(ops.created_flow_run(id=flow_run_id))
    kept_away = [label for label in (run.labels if run is not None else None) or () if label.startswith(AGENTLESS)]
    if kept_away:
        raise CliError(
            f"This run was executed without an agent: its label {kept_away[0]!r} keeps agents away. Give `--execute` "
            "to execute it here, or `--label` with the labels of an agent."
        )


def _restarted(session: "Session", flow_run_id: str, options: "Options") -> "RestartFlowRun":
    from prefect._generated import operations as ops
    from prefect.client.request import UNSET

    labels = [*options.labels, agentless_label()] if options.execute else list(options.labels)
    return session.execute(
        ops.restart_flow_run(
            flow_run_id=flow_run_id,
            tasks=list(options.again),
            labels=labels or UNSET,
            # A request that is sent again must not restart the run a second time.
            idempotency_key=uuid4().hex,
            dry_run=options.dry_run,
        )
    )


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
