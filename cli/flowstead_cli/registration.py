"""Registering serialized flows into a project, one after the other."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowstead_cli.building import Outcome, process
from flowstead_cli.collecting import Source
from flowstead_cli.output.lines import YELLOW

if TYPE_CHECKING:
    from prefect.client.session import Session

__all__ = ["Counts", "Target", "register_sources"]


@dataclass(slots=True)
class Counts:
    """How many flows were registered, were unchanged, and failed."""

    registered: int = 0
    skipped: int = 0
    errored: int = 0


@dataclass(frozen=True, slots=True)
class Target:
    """Where flows go and how."""

    project_id: str
    labels: tuple[str, ...] = ()
    force: bool = False
    schedule: bool = True


def register_sources(session: "Session", sources: Sequence[Source], target: Target) -> Counts:
    """Register the flows of all sources, printing what happens to each; never raises for a single flow."""
    counts = Counts()

    def register(serialized: dict[str, Any]) -> Outcome:
        return _register(session, serialized, target, counts)

    counts.errored = process(sources, target.labels, "Registering", register)
    return counts


def _register(session: "Session", serialized: dict[str, Any], target: Target, counts: Counts) -> Outcome:
    from prefect._generated import operations as ops
    from prefect.client.registration import check_described, check_schedule, send_flow

    check_schedule(check_described(serialized))
    found = session.execute(ops.previous_flow_version(name=serialized["name"], project_id=target.project_id))
    previous_id = found[0].id if found else None
    flow_id = send_flow(
        session,
        serialized,
        target.project_id,
        set_schedule_active=target.schedule,
        idempotency_key=None if target.force else _digest(serialized),
        previous_id=previous_id,
    )
    if flow_id == previous_id:
        counts.skipped += 1
        return Outcome("Skipped (metadata unchanged)", YELLOW)
    registered = session.execute(ops.flow_group_of_flow(id=flow_id))
    counts.registered += 1
    return Outcome(details=(f"ID: {flow_id}", f"Version: {registered.version if registered else 1}"))


def _digest(serialized: dict[str, Any]) -> str:
    # The same key as `Flow.serialized_hash`, so that a flow is unchanged whichever way it is registered.
    return hashlib.sha256(json.dumps(serialized, sort_keys=True).encode()).hexdigest()
