"""`prefect run`: run a flow here, or create a flow run for an agent, and perhaps watch it.

A run is created at most once, also when the connection breaks while it is being created.  Exit code 0 means that the
run was created, or with `--watch` and in local runs that it succeeded.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

import typer

from flowstead_cli.agent_options import normalised_level
from flowstead_cli.created import abort_creation, describe_created, show_created_as_json
from flowstead_cli.errors import CliError
from flowstead_cli.lookup import check_lookup_options, check_parameters, find_flow
from flowstead_cli.moments import parse_start
from flowstead_cli.output.lines import GREEN, RED, YELLOW, say, step
from flowstead_cli.values import merge_parameters, parse_pairs, read_parameter_file, split_files
from flowstead_cli.wiring import command_app

if TYPE_CHECKING:
    from prefect._generated.types import FlowRecord
    from prefect.client.session import Session

app = command_app()


@dataclass(frozen=True, slots=True)
class Options:
    """What `run` was asked to do."""

    flow_id: str | None = None
    project: str | None = None
    path: str | None = None
    module: str | None = None
    name: str | None = None
    labels: tuple[str, ...] = ()
    run_name: str | None = None
    context: tuple[str, ...] = ()
    params: tuple[str, ...] = ()
    param_file: str | None = None
    log_level: str | None = None
    idempotency_key: str | None = None
    priority: int | None = None
    start: str | None = None
    execute: bool = False
    schedule: bool = False
    quiet: bool = False
    no_logs: bool = False
    watch: bool = False
    as_json: bool = False
    restart: str | None = None
    again: tuple[str, ...] = ()
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Inputs:
    """The values that a run gets."""

    parameters: dict[str, Any] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)
    log_level: str | None = None
    start: datetime | None = None


def run(options: Options) -> int:
    """Run a flow and return the exit code.

    Raises:
        CliError: options, values or the flow are not as they must be.
        prefect.exceptions.ClientError: the API refused or cannot be reached.
    """
    if options.restart is not None:
        _check_outputs(options)
        from flowstead_cli.restarting import restart

        return restart(options, options.restart)
    if options.again or options.dry_run:
        raise CliError("Error: `--again` and `--dry-run` go with `--restart` only.")
    check_lookup_options(
        flow_id=options.flow_id,
        name=options.name,
        project=options.project,
        path=options.path,
        module=options.module,
    )
    inputs = _inputs(options)
    _check_outputs(options)
    if options.path is not None or options.module is not None:
        if options.start is not None:
            raise CliError("Error: `--start` can only be specified for flow runs through the API; this one starts now.")
        if options.priority is not None:
            raise CliError("Error: `--priority` can only be specified for flow runs through the API.")
        from flowstead_cli.local_run import run_locally

        return run_locally(
            path=options.path,
            module=options.module,
            name=options.name,
            parameters=inputs.parameters,
            context=inputs.context,
            log_level=inputs.log_level,
            no_logs=options.no_logs,
            on_schedule=options.schedule,
            as_json=options.as_json,
        )
    if options.schedule:
        raise CliError("Error: `--schedule` can only be specified for local flow runs")
    return _run_through_api(options, inputs)


def _check_outputs(options: Options) -> None:
    if options.quiet and options.as_json:
        raise CliError("Error: give either `--quiet`, which prints the id only, or `--json`.")
    if options.execute and options.as_json:
        raise CliError("Error: give either `--execute`, which shows the run as it goes on, or `--json`.")


def _inputs(options: Options) -> Inputs:
    log_level = normalised_level(options.log_level)
    context = parse_pairs("context", options.context)
    files, pairs = split_files(options.params)
    from_files: dict[str, Any] = {}
    for file in [options.param_file, *files]:
        if file is not None:
            from_files.update(read_parameter_file(file))
    parameters, twice = merge_parameters(from_files, parse_pairs("parameter", pairs))
    if twice and not (options.quiet or options.as_json):
        say(
            "The following parameters were specified by file and CLI, the CLI value will be used: "
            f"{{{', '.join(repr(key) for key in sorted(twice))}}}",
            YELLOW,
        )
    start = None if options.start is None else parse_start(options.start, datetime.now(UTC))
    return Inputs(parameters=parameters, context=context, log_level=log_level, start=start)


def _run_through_api(options: Options, inputs: Inputs) -> int:
    from flowstead_cli.api import open_session

    created: list[str] = []
    silent = options.quiet or options.as_json
    with open_session() as session:
        try:
            with step("Looking up flow metadata...", quiet=silent):
                flow = find_flow(session, flow_id=options.flow_id, name=options.name, project=options.project)
                if isinstance(flow.parameters, list):
                    check_parameters(flow.name, (str(known["name"]) for known in flow.parameters), inputs.parameters)
            with step(f"Creating run for flow {flow.name!r}...", quiet=silent):
                flow_run_id = _create(session, flow, options, inputs)
                created.append(flow_run_id)
            if options.quiet:
                say(flow_run_id)
            elif not options.as_json:
                describe_created(session, flow_run_id, tell_start=inputs.start is not None)
            elif not options.watch:
                show_created_as_json(session, flow_run_id)
        except KeyboardInterrupt:
            return abort_creation(session, created, quiet=options.as_json)
        if options.execute:
            from flowstead_cli.agentless import execute_here

            return execute_here(
                session, flow_run_id, log_level=inputs.log_level, no_logs=options.no_logs, quiet=options.quiet
            )
        if not options.watch:
            return 0
        from flowstead_cli.watching import watch

        return watch(session, flow_run_id, logs=not options.no_logs, quiet=options.quiet, as_json=options.as_json)


def _create(session: "Session", flow: "FlowRecord", options: Options, inputs: Inputs) -> str:
    from prefect._generated import operations as ops
    from prefect.client.request import UNSET

    run_config: Any = UNSET
    if inputs.log_level is not None:
        # A flow without a run config gets the most general one, which only carries the level.
        config = dict(flow.run_config or {"type": "UniversalRun", "labels": []})
        config["env"] = {**(config.get("env") or {}), "PREFECT__LOGGING__LEVEL": inputs.log_level}
        run_config = config
    labels = list(options.labels)
    if options.execute:
        from flowstead_cli.agentless import agentless_label

        labels.append(agentless_label())
    request = ops.create_flow_run(
        flow_id=flow.id,
        parameters=inputs.parameters,
        context=inputs.context,
        labels=labels or UNSET,
        flow_run_name=UNSET if options.run_name is None else options.run_name,
        run_config=run_config,
        # A request that is sent again must not make a second run.
        idempotency_key=options.idempotency_key or uuid4().hex,
        scheduled_start_time=UNSET if inputs.start is None else inputs.start,
        priority=UNSET if options.priority is None else options.priority,
    )
    return session.execute(request).id


def report_outcome(state: str, message: str | None, *, quiet: bool = False) -> int:
    """Print how a run ended, unless quiet, and return the exit code: 0 only for success."""
    failed = {"Failed", "TimedOut", "TriggerFailed", "ValidationFailed"}
    succeeded = {"Success", "Cached", "Mapped", "Skipped"}
    if state in succeeded:
        text, code, status = "Flow run succeeded!", GREEN, 0
    elif state in failed:
        text, code, status = "Flow run failed!", RED, 1
    elif state == "Cancelled":
        text, code, status = f"Flow run was cancelled: {message or 'no reason was given'}", YELLOW, 1
    else:
        text, code, status = f'Flow run is in unexpected state: <{state}: "{message or ""}">', YELLOW, 1
    if not quiet:
        say(text, code)
    return status


@app.command("run")
def main(
    flow_id: Annotated[
        str | None, typer.Option("--id", "-i", help="Id of the flow, or of its flow group (takes the newest version).")
    ] = None,
    project: Annotated[str | None, typer.Option("--project", help="Project of the flow; needs --name.")] = None,
    path: Annotated[
        str | None, typer.Option("--path", "-p", help="Python file of the flow: runs it here, without the API.")
    ] = None,
    module: Annotated[
        str | None, typer.Option("--module", "-m", help="Module of the flow, or full import path of it: runs it here.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", "-n", help="Name of the flow; alone, it is searched in all projects.")
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="TEXT", help="Label of the run instead of the flow's; can be repeated."),
    ] = None,
    run_name: Annotated[str | None, typer.Option("--run-name", help="Name of the run.")] = None,
    context: Annotated[
        list[str] | None,
        typer.Option("--context", metavar="KEY=VALUE", help="Value in prefect.context, as JSON; can be repeated."),
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(
            "--param",
            metavar="KEY=VALUE",
            help="Parameter, its value as JSON, or @FILE with a JSON object of parameters (@- reads standard input); "
            "can be repeated.",
        ),
    ] = None,
    param_file: Annotated[
        str | None, typer.Option("--param-file", help="JSON file with parameters; --param wins over it.")
    ] = None,
    log_level: Annotated[
        str | None, typer.Option("--log-level", help="Log level of the run: DEBUG, INFO, WARNING, ERROR, CRITICAL.")
    ] = None,
    idempotency_key: Annotated[
        str | None, typer.Option("--idempotency-key", help="Create at most one run with this key.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--start",
            metavar="TIME",
            help="When the run starts: a time in ISO form (without a zone: in this machine's), or 'in 10 minutes'.",
        ),
    ] = None,
    priority: Annotated[
        int | None,
        typer.Option(
            "--priority",
            help="-100 to 100: goes before waiting runs of a lower priority; a point counts as ten minutes of waiting.",
        ),
    ] = None,
    execute: Annotated[
        bool, typer.Option("--execute", help="Execute the run here, in this terminal, without an agent.")
    ] = False,
    schedule: Annotated[bool, typer.Option("--schedule", "-s", help="Local runs: follow the flow's schedule.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the id of the run.")] = False,
    no_logs: Annotated[bool, typer.Option("--no-logs", help="Do not show log lines.")] = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Follow the run until it is finished.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the run as one JSON object, with --watch when it is finished.")
    ] = False,
    restart: Annotated[
        str | None,
        typer.Option("--restart", metavar="RUN", help="Let this run (id or name), which has ended, go on."),
    ] = None,
    again: Annotated[
        list[str] | None,
        typer.Option(
            "--again", metavar="TASK", help="With --restart: run this task again, though it succeeded; can be repeated."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With --restart: only say what would run again.")] = False,
) -> int:
    """Run a flow: through an agent (--id, --name, --project) or here (--path, --module).

    A run that has ended goes on with --restart: what did not succeed runs again.

    Examples:

      prefect run --name hello-world --param name=Marvin --watch

      prefect run --name hello-world --start 'in 10 minutes' --quiet

      prefect run --path hello.py --param 'names=["Ford", "Arthur"]'

      prefect run --restart clever-otter --watch
    """
    return run(
        Options(
            flow_id=flow_id,
            project=project,
            path=path,
            module=module,
            name=name,
            labels=tuple(label or ()),
            run_name=run_name,
            context=tuple(context or ()),
            params=tuple(param or ()),
            param_file=param_file,
            log_level=log_level,
            idempotency_key=idempotency_key,
            priority=priority,
            start=start,
            execute=execute,
            schedule=schedule,
            quiet=quiet,
            no_logs=no_logs,
            watch=watch,
            as_json=as_json,
            restart=restart,
            again=tuple(again or ()),
            dry_run=dry_run,
        )
    )
