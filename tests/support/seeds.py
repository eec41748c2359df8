"""Rows that store and API tests start from, made through the verbs."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from uuid import UUID

from flowstead_server.db import Database
from flowstead_server.domain.caller import Caller
from flowstead_server.orchestration.agents import RegisterAgent, register_agent
from flowstead_server.orchestration.flow_runs import CreateFlowRun, create_flow_run
from flowstead_server.orchestration.flows import CreateFlow, create_flow
from flowstead_server.orchestration.projects import CreateProject, create_project
from flowstead_server.orchestration.tenants import CreateTenant, create_tenant, ensure_default_tenant


@dataclass(frozen=True, slots=True)
class Seed:
    """The default tenant's caller, a project, and a flow with tasks."""

    database: Database
    caller: Caller
    project_id: UUID
    flow_id: UUID

    async def run(self, **members: Any) -> UUID:
        """Create a flow run of the flow."""
        return await create_flow_run(self.database, self.caller, CreateFlowRun(flow_id=self.flow_id, **members))

    async def agent(self, name: str = "agent", labels: list[str] | None = None) -> UUID:
        """Register an agent."""
        return await register_agent(self.database, self.caller, RegisterAgent("LocalAgent", name, labels))

    async def task_ids(self) -> dict[str, UUID]:
        """Return the flow's tasks by slug."""
        rows = await self.database.fetch("select id, slug from task where flow_id = $1 order by slug", self.flow_id)
        return {row["slug"]: row["id"] for row in rows}

    async def task_run_ids(self, flow_run_id: UUID) -> list[UUID]:
        """Return the ids of a run's task runs, in the order of their slugs."""
        rows = await self.database.fetch(
            "select r.id from task_run r join task t on t.id = r.task_id "
            "where flow_run_id = $1 order by t.slug, map_index",
            flow_run_id,
        )
        return [row["id"] for row in rows]


def serialized_flow(name: str = "hello-world", tasks: int = 2, **members: Any) -> dict[str, Any]:
    """Return a flow as the library serializes it: a chain of tasks `t-1`, `t-2`, …"""
    slugs = [f"t-{n + 1}" for n in range(tasks)]
    return {
        "name": name,
        "type": "prefect.core.flow.Flow",
        "schedule": None,
        "parameters": [],
        "tasks": [
            {
                "name": "t",
                "slug": slug,
                "type": "prefect.tasks.core.function.FunctionTask",
                "tags": [],
                "max_retries": 0,
                "retry_delay": None,
                "trigger": {"fn": "prefect.triggers.all_successful", "kwargs": {}},
                "auto_generated": False,
                "cache_key": None,
            }
            for slug in slugs
        ],
        "edges": [
            {"upstream_task": {"slug": up}, "downstream_task": {"slug": down}, "key": None, "mapped": False}
            for up, down in pairwise(slugs)
        ],
        "reference_tasks": [],
        "run_config": None,
        "storage": {"type": "Local", "flows": {name: "/flows/x"}},
        "__version__": "1.4.1",
        **members,
    }


async def seed(database: Database, tasks: int = 2, **members: Any) -> Seed:
    """Make the default tenant, a project and a flow with `tasks` tasks."""
    caller = Caller(await ensure_default_tenant(database))
    project_id = await create_project(database, caller, CreateProject("project"))
    flow_id = await create_flow(database, caller, CreateFlow(serialized_flow(tasks=tasks, **members), project_id))
    return Seed(database, caller, project_id, flow_id)


async def stranger(database: Database) -> Caller:
    """Return a caller of another tenant."""
    return Caller(await create_tenant(database, CreateTenant("Stranger", "stranger")))
