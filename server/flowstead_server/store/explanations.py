"""What is known about a run that somebody wants explained, read in one snapshot."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from flowstead_server.db import load_statements
from flowstead_server.domain.explanations import AgentFacts, LimitFacts, RunFacts

if TYPE_CHECKING:
    from flowstead_server.db.database import Executor

_SQL: Final = load_statements(__package__, "explanations.sql")


async def facts(executor: Executor, tenant_id: UUID, flow_run_id: UUID) -> RunFacts | None:
    """Return what decides why a run is where it is; null if the tenant has no such run."""
    row = await executor.fetch_row(_SQL["facts"], tenant_id, flow_run_id)
    if row is None:
        return None
    agents = [
        AgentFacts(
            id=UUID(agent["id"]),
            name=agent["name"],
            type=agent["type"],
            labels=agent["labels"],
            last_queried=datetime.fromisoformat(agent["last_queried"]),
            is_live=agent["is_live"],
            fits=agent["fits"],
            missing=agent["missing"],
        )
        for agent in json.loads(row["agents"])
    ]
    limits = [
        LimitFacts(**{**limit, "holders": [(UUID(run["id"]), run["name"]) for run in limit["holders"]]})
        for limit in json.loads(row["limits"])
    ]
    known = {name: row[name] for name in RunFacts.__slots__ if name not in {"agents", "limits", "claimed_start_time"}}
    return RunFacts(**known, agents=agents, limits=limits, claimed_start_time=_moment(row["claimed_start_time"]))


def _moment(text: str | None) -> datetime | None:
    # the state around it is what a client sent
    try:
        moment = None if text is None else datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment is None or moment.tzinfo is not None else moment.replace(tzinfo=UTC)
