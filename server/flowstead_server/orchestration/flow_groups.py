"""Flow groups: what a person sets for all versions of a flow, instead of what the flow says itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from flowstead_server.domain.errors import BadInputError, NotFoundError
from flowstead_server.domain.group_schedules import CronClock, IntervalClock, group_schedule
from flowstead_server.domain.labels import normalized
from flowstead_server.domain.serialized_states import encode
from flowstead_server.orchestration.scheduling import RunScheduler
from flowstead_server.store import flow_groups, schedules

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from flowstead_server.db import Database, Transaction
    from flowstead_server.domain.caller import Caller

__all__ = [
    "CronClock",
    "IntervalClock",
    "delete_flow_group_schedule",
    "set_default_parameters",
    "set_description",
    "set_flow_group_schedule",
    "set_heartbeat",
    "set_labels",
    "set_lazarus",
    "set_run_config",
    "set_version_lock",
]


async def set_heartbeat(database: Database, caller: Caller, flow_id: UUID, *, enabled: bool) -> bool:
    """Switch the heartbeats of a flow's group. Raises NotFoundError."""
    settings = {"heartbeat_enabled": enabled, "disable_heartbeat": not enabled}
    # 1.x processes look for it in the flow
    return await _merge(database, caller, flow_id, settings, {"heartbeat_enabled": enabled})


async def set_lazarus(database: Database, caller: Caller, flow_id: UUID, *, enabled: bool) -> bool:
    """Say whether lost runs of a flow's group are put back into the queue. Raises NotFoundError."""
    return await _merge(database, caller, flow_id, {"lazarus_enabled": enabled}, {})


async def set_version_lock(database: Database, caller: Caller, flow_id: UUID, *, enabled: bool) -> bool:
    """Say whether states for runs of a flow's group need the stored version. Raises NotFoundError."""
    return await _merge(database, caller, flow_id, {"version_locking_enabled": enabled}, {})


async def _merge(
    database: Database, caller: Caller, flow_id: UUID, settings: dict[str, bool], mirrored: dict[str, bool]
) -> bool:
    if not await flow_groups.merge_settings_of_flow(
        database, caller.tenant_id, flow_id, encode(settings), encode(mirrored)
    ):
        raise NotFoundError("Invalid flow ID.")
    return True


async def set_default_parameters(database: Database, caller: Caller, flow_group_id: UUID, parameters: object) -> bool:
    """Replace the parameters that runs get unless they are given others; false if there is no such group.

    Raises BadInputError unless they are a JSON object.
    """
    if not isinstance(parameters, dict):
        raise BadInputError(f"Default parameters must be a JSON object, but they are {str(parameters)[:80]!r}.")
    return await flow_groups.set_default_parameters(database, caller.tenant_id, flow_group_id, encode(parameters))


async def set_labels(database: Database, caller: Caller, flow_group_id: UUID, labels: Sequence[str] | None) -> bool:
    """Replace the labels of later runs (null: as the flow says; empty: none); false if there is no such group.

    Raises BadInputError for a label that cannot be stored.
    """
    text = None if labels is None else encode(normalized(labels))
    return await flow_groups.set_labels(database, caller.tenant_id, flow_group_id, text)


async def set_description(database: Database, caller: Caller, flow_group_id: UUID, description: str | None) -> bool:
    """Replace the description; false if there is no such group."""
    return await flow_groups.set_description(database, caller.tenant_id, flow_group_id, description)


async def set_run_config(database: Database, caller: Caller, flow_group_id: UUID, run_config: object) -> bool:
    """Replace the run config of later runs (null: as the flow says); false if there is no such group.

    Raises BadInputError unless it is a JSON object or null.
    """
    if run_config is not None and not isinstance(run_config, dict):
        raise BadInputError(f"A run config must be a JSON object or null, but it is {str(run_config)[:80]!r}.")
    if run_config is not None:
        normalized(_labels(run_config))
    text = None if run_config is None else encode(run_config)
    return await flow_groups.set_run_config(database, caller.tenant_id, flow_group_id, text)


def _labels(run_config: dict[str, object]) -> list[object]:
    labels = run_config.get("labels")
    if labels is not None and not isinstance(labels, list):
        raise BadInputError(f"The labels of a run config must be a list, but they are {str(labels)[:80]!r}.")
    return labels or []


async def set_flow_group_schedule(
    database: Database,
    caller: Caller,
    flow_group_id: UUID,
    cron_clocks: Sequence[CronClock],
    interval_clocks: Sequence[IntervalClock],
    timezone: str | None,
    missed_runs: str | None = None,
) -> bool:
    """Replace the schedule, and the waiting runs that the old one made by its own; false if there is no such group.

    Raises BadInputError for an unknown time zone or policy, or an unusable clock.
    """
    schedule = encode(group_schedule(cron_clocks, interval_clocks, timezone, datetime.now(UTC), missed_runs))
    return await _set_schedule(database, caller, flow_group_id, schedule)


async def delete_flow_group_schedule(database: Database, caller: Caller, flow_group_id: UUID) -> bool:
    """Remove the schedule and the waiting runs that it made; false if there is no such group.

    Flows with a schedule of their own follow that one from now on.
    """
    return await _set_schedule(database, caller, flow_group_id, None)


async def _set_schedule(database: Database, caller: Caller, flow_group_id: UUID, schedule: str | None) -> bool:
    async def work(transaction: Transaction) -> list[UUID] | None:
        if not await flow_groups.set_schedule(transaction, caller.tenant_id, flow_group_id, schedule):
            return None
        flow_ids = await schedules.begin_group(transaction, caller.tenant_id, flow_group_id)
        await flow_groups.delete_auto_scheduled_runs(transaction, caller.tenant_id, flow_group_id)
        return flow_ids

    flow_ids = await database.transact(work)
    if flow_ids:
        await database.part(RunScheduler).schedule_flows(flow_ids)
    return flow_ids is not None
