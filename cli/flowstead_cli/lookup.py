"""Which flow a user means: the rules for the options of `prefect run`, and the search in the API."""

import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING

from flowstead_cli.errors import CliError, LookupOptionsError

if TYPE_CHECKING:
    from prefect._generated.types import FlowRecord
    from prefect.client.session import Session

__all__ = ["check_lookup_options", "check_parameters", "find_flow"]


def check_lookup_options(
    *, flow_id: str | None, name: str | None, project: str | None, path: str | None, module: str | None
) -> None:
    """Accept one of the combinations of options that name a flow.

    Raises:
        LookupOptionsError: none was given, or they contradict each other.
    """
    given = [
        option
        for option, value in (("--id", flow_id), ("--project", project), ("--path", path), ("--module", module))
        if value is not None
    ]
    if not given and name is None:
        raise LookupOptionsError("Received no options to look up the flow.")
    if flow_id is not None and name is not None:
        raise LookupOptionsError(
            "Received too many options to look up the flow; cannot specify both `--name` and `--id`"
        )
    if len(given) > 1:
        raise LookupOptionsError(f"Received too many options to look up the flow: {', '.join(given)}")
    if project is not None and name is None:
        raise CliError(
            "Missing required option `--name`. Cannot look up a flow by project without also passing a name."
        )


def find_flow(session: "Session", *, flow_id: str | None, name: str | None, project: str | None) -> "FlowRecord":
    """Return the flow that a user means; an id may be that of a flow or of a flow group.

    Raises:
        CliError: there is none, it is archived, or the name is not unique.
        prefect.exceptions.ClientError: the API refused or cannot be reached.
    """
    flow = _by_id(session, flow_id) if flow_id is not None else _by_name(session, name or "", project)
    if flow.archived:
        raise CliError(
            f"Flow {flow.name!r} version {flow.version} ({flow.id}) is archived and accepts no runs; "
            "register it again, or name another version."
        )
    return flow


def check_parameters(flow_name: str, known: Iterable[str], given: Iterable[str]) -> None:
    """Accept parameters that the flow has.

    Raises:
        CliError: one of them is unknown; says which there are.
    """
    names = sorted(known)
    unknown = sorted(set(given) - set(names))
    if not unknown:
        return
    listed = ", ".join(map(repr, names))
    there = f"Its parameters are {listed}." if names else "It has no parameters."
    what = "parameter" if len(unknown) == 1 else "parameters"
    raise CliError(f"Flow {flow_name!r} does not have the {what} {', '.join(map(repr, unknown))}. {there}")


def _by_id(session: "Session", flow_id: str) -> "FlowRecord":
    from prefect._generated import operations as ops

    missing = CliError(f"Failed to find flow id or flow group id matching '{flow_id}'")
    try:
        parsed = str(uuid.UUID(flow_id))
    except ValueError:
        raise missing from None
    flow = session.execute(ops.flow_by_id(id=parsed))
    if flow is not None:
        return flow
    group = session.execute(ops.flows_by_group_id(flow_group_id=parsed, archived=False, limit=1))
    group = group or session.execute(ops.flows_by_group_id(flow_group_id=parsed, limit=1))
    if not group:
        raise missing
    return group[0]


def _by_name(session: "Session", name: str, project: str | None) -> "FlowRecord":
    from prefect._generated import operations as ops
    from prefect.client.request import UNSET

    where = f"name {name!r}" + (f" in project {project!r}" if project is not None else "")
    in_project = UNSET if project is None else project
    flows = session.execute(ops.flows_by_name(name=name, project_name=in_project, archived=False))
    if not flows:
        archived = session.execute(ops.flows_by_name(name=name, project_name=in_project, limit=1))
        if archived:
            return archived[0]
        raise CliError(
            f"No results found while querying for flows with {where}. "
            "`prefect get flows` lists the flows that there are; `prefect register` adds one."
        )
    if len({flow.flow_group_id for flow in flows}) > 1:
        listed = "\n".join(
            f"  --id {flow.id}  (project {flow.project.name!r}, version {flow.version})" for flow in flows
        )
        raise CliError(f"Found multiple flows with {where}. Give --project too, or the id of one of these:\n{listed}")
    return flows[0]
