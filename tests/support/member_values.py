"""Inputs for every mutation, made from the names of their members; and what a database holds, to compare.

A member with a new name needs a value in `values_for`: without one, the tests that walk all mutations fail.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from graphql import GraphQLInputObjectType, GraphQLList, GraphQLNonNull, GraphQLSchema, get_named_type
from serialized_flows import compressed, serialized_flow

from flowstead_server.db import Database
from flowstead_server.domain.caller import Caller
from flowstead_server.orchestration import (
    agents,
    api_keys,
    artifacts,
    events,
    flow_runs,
    flows,
    hooks,
    key_values,
    limits,
    logs,
    projects,
)
from flowstead_server.store import hook_deliveries

NOBODY = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True)
class Belongings:
    """One of everything that a tenant can have; `ids` by the name of the input member that takes it."""

    caller: Caller
    ids: dict[str, str]
    secret: str


async def belongings_of(database: Database, caller: Caller, mark: str) -> Belongings:
    """Store one of everything for a tenant; `mark` tells names of different tenants apart."""
    project = await projects.create_project(database, caller, projects.CreateProject(f"project {mark}"))
    flow = await flows.create_flow(
        database, caller, flows.CreateFlow(serialized_flow(), project, version_group_id=f"group {mark}")
    )
    config = await agents.create_agent_config(database, caller, None, mark, {})
    agent = await agents.register_agent(database, caller, agents.RegisterAgent("LocalAgent", mark, None, config))
    hook = await hooks.create_cloud_hook(
        database, caller, hooks.CreateCloudHook("PREFECT_MESSAGE", ["Failed", "Scheduled"])
    )
    run = await flow_runs.create_flow_run(database, caller, flow_runs.CreateFlowRun(flow_id=flow))
    await logs.write_run_logs(database, caller, [{"flow_run_id": run, "message": mark}])
    task_run, task = await database.fetch_row("select id, task_id from task_run where flow_run_id = $1", run)
    await flow_runs.update_flow_run_heartbeat(database, caller, run)
    artifact = await artifacts.create_task_run_artifact(
        database, caller, artifacts.CreateArtifact(task_run_id=task_run, kind="link", data={"link": "x"})
    )
    await hooks.try_cloud_hook(database, caller, hook, run, "Failed")
    message = await database.fetch_value("select id from message where tenant_id = $1", caller.tenant_id)
    await key_values.set_secret(database, caller, f"secret {mark}", mark)
    await hook_deliveries.spread(database)
    ids: dict[str, UUID] = {
        "tenant_id": caller.tenant_id,
        "project_id": project,
        "flow_id": flow,
        "flow_group_id": await database.fetch_value("select flow_group_id from flow where id = $1", flow),
        "agent_config_id": config,
        "agent_id": agent,
        "flow_run_id": run,
        "parent_flow_run_id": run,
        "task_id": task,
        "task_run_id": task_run,
        "task_run_artifact_id": artifact,
        "create_task_run_artifact.id": artifact,
        "cloud_hook_id": hook,
        "cloud_hook_delivery_id": await database.fetch_value(
            "select id from cloud_hook_delivery where cloud_hook_id = $1", hook
        ),
        "message_id": message,
        "key_value_id": await key_values.set_key_value(database, caller, f"key {mark}", mark),
        "delete_task_tag_limit.limit_id": await limits.update_task_tag_limit(database, caller, mark, 1),
        "delete_flow_concurrency_limit.limit_id": await limits.update_flow_concurrency_limit(database, caller, mark, 1),
        "key_id": (await api_keys.create_api_key(database, caller, mark, None, None)).id,
    }
    assert (await events.read_events(database, caller, run, 0)).events
    texts = {name: str(ident) for name, ident in ids.items()}
    return Belongings(caller, {**texts, "version_group_id": f"group {mark}"}, f"secret {mark}")


def values_for(mutation: str, owned: Belongings) -> dict[str, Any]:
    """Return values for members of inputs by their names: usable ones, whose ids belong to a tenant."""
    state = {"type": "Running"}
    ids = {name.removeprefix(f"{mutation}."): ident for name, ident in owned.ids.items()}
    return {
        **{name: ident for name, ident in ids.items() if "." not in name},
        "serialized_flow": compressed(serialized_flow()) if "compressed" in mutation else serialized_flow(),
        "serialized_tasks": [],
        "serialized_edges": [],
        "set_schedule_active": True,
        "description": "d",
        "idempotency_key": "i",
        "secret": "0123456789-abcdefghijklmnopqrstuvwxyz_ABCDE",
        "tasks": [],
        "dry_run": False,
        "children": "CASCADE",
        "parameters": {"x": 1},
        "context": {},
        "labels": ["a"],
        "run_config": {"type": "UniversalRun"},
        "scheduled_start_time": "2030-01-01T00:00:00",
        "flow_run_name": "n",
        "name": "n",
        "slug": "s",
        "state": "Failed" if mutation == "set_project_retention" else state,
        "logs_days": 30,
        "runs_days": 60,
        "version": 1,
        "flow_run_version": 1,
        "map_index": 5,
        "priority": 7,
        "first": 5,
        "missed_runs": "skip",
        "count": 2,
        "batch_id": NOBODY,
        "report_refusals": False,
        "timestamp": "2030-01-01T00:00:00",
        "message": "m",
        "level": "INFO",
        "info": {},
        "type": "WEBHOOK" if mutation == "create_cloud_hook" else "LocalAgent",
        "before": "2100-01-01T00:00:00",
        "limit": 5,
        "lease_seconds": 30,
        "claim_token": NOBODY,
        "confirm": True,
        "settings": {"a": 1},
        "cron": "* * * * *",
        "interval": 60,
        "parameter_defaults": {},
        "timezone": "Europe/Berlin",
        "kind": "link",
        "data": {},
        "key": "k",
        "value": 1,
        "tag": "t",
        "label": "l",
        "user_id": NOBODY,
        "expires_at": "2100-01-01T00:00:00",
        "config": {"url": "https://example.com/"},
        "state_type": "SUCCESS",
        "states": ["Failed"],
    }


def whole_input(kind: Any, values: dict[str, Any], *, optional: bool = True) -> Any:
    """Return a value for an input type with all its members, or with the required ones."""
    if isinstance(kind, GraphQLNonNull):
        return whole_input(kind.of_type, values, optional=optional)
    if isinstance(kind, GraphQLList):
        return [whole_input(kind.of_type, values, optional=optional)]
    assert isinstance(kind, GraphQLInputObjectType)
    return {
        name: whole_input(field.type, values, optional=optional)
        if isinstance(get_named_type(field.type), GraphQLInputObjectType)
        else values[name]
        for name, field in kind.fields.items()
        if optional or isinstance(field.type, GraphQLNonNull)
    }


def document(schema: GraphQLSchema, mutation: str) -> str:
    """Return a mutation that asks for everything its payload has."""
    assert schema.mutation_type is not None
    field = schema.mutation_type.fields[mutation]
    kind = field.args["input"].type
    return f"mutation($input: {kind}) {{ {mutation}(input: $input) {_selection(field.type)} }}"


def _selection(kind: Any) -> str:
    named: Any = get_named_type(kind)
    if not hasattr(named, "fields"):
        return ""
    return "{ " + " ".join(f"{name} {_selection(field.type)}" for name, field in named.fields.items()) + " }"


async def stored(database: Database, tenant_id: UUID | None = None) -> dict[str, str]:
    """Return a digest of every table, or of its rows that belong to a tenant."""
    # a set of labels is only a way of writing labels down, and stays when a request is refused later
    names = await database.fetch(
        "select c.relname as name, "
        "exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id') as owned "
        "from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') "
        "and not c.relispartition and c.relname not in ('label_set', 'schema_migration')"
    )
    found = {}
    for name, owned in names:
        if tenant_id is not None and not owned:
            continue
        where = "" if tenant_id is None else f"where x.tenant_id = '{tenant_id}'"
        statement = f"select coalesce(md5(string_agg(x::text, '|' order by x::text)), '') from \"{name}\" x {where}"
        found[name] = await database.fetch_value(statement)
    if tenant_id is not None:
        found["tenant"] = await database.fetch_value("select x::text from tenant x where id = $1", tenant_id)
    return found
