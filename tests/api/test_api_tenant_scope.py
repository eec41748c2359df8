"""Nobody sees or changes what another tenant has, whichever field of the schema is tried with its ids.

Root fields and mutations are found by introspection: a new one that has no case here fails.
"""

from typing import Any

from graphql import GraphQLNonNull, get_named_type
from member_values import Belongings, belongings_of, document, stored, values_for, whole_input

from flowstead_server.api.schema import api_schema
from flowstead_server.compiler.catalog import CATALOG
from flowstead_server.domain.caller import Caller
from flowstead_server.orchestration.tenants import CreateTenant, create_tenant

SCHEMA = api_schema()._schema
# These take no id of anything that exists, and store something of the caller's own.
CREATORS = {
    "create_tenant",
    "set_key_value",
    "set_secret",
    "update_task_tag_limit",
    "update_flow_concurrency_limit",
    "create_api_key",
}
# Answers true for unknown runs too, as in 1.x.
HEARTBEAT = "update_flow_run_heartbeat"
# Here a name that another tenant uses too is only a name.
HARMLESS_ALONE = {("create_cloud_hook", "version_group_id")}


async def strangers_of(api: Any) -> Belongings:
    await belongings_of(api.database, Caller(api.tenant_id), "ours")
    tenant_id = await create_tenant(api.database, CreateTenant("Theirs", "theirs"))
    return await belongings_of(api.database, Caller(tenant_id), "theirs")


def changed_nothing(name: str, answer: dict[str, Any]) -> bool:
    """Whether an answer says that nothing was done."""
    if "errors" in answer:
        return all(error["extensions"]["code"] not in {"API_ERROR", ""} for error in answer["errors"])
    payload = answer["data"][name]
    if "success" in payload:
        return payload["success"] is False
    return all(not value for key, value in payload.items() if key not in {"lost", "lease_expires", "next_start_time"})


async def test_no_mutation_touches_another_tenant(api: Any) -> None:
    theirs = await strangers_of(api)
    before = await stored(api.database, theirs.caller.tenant_id)
    problems = []
    for name, field in SCHEMA.mutation_type.fields.items():
        kind = field.args["input"].type
        members = get_named_type(kind).fields
        values = values_for(name, theirs)
        given = [whole_input(kind, values)]
        for member, one in members.items():
            alone = not isinstance(one.type, GraphQLNonNull) and (name, member) not in HARMLESS_ALONE
            if member in theirs.ids and alone:
                given.append({**whole_input(kind, values, optional=False), member: values[member]})
        for variables in given:
            answer = (await api.post(document(SCHEMA, name), {"input": variables})).json()
            done = not changed_nothing(name, answer)
            if name in CREATORS:
                if not done:
                    problems.append((name, variables, answer))
            elif done and name != HEARTBEAT:
                problems.append((name, variables, answer))
            if await stored(api.database, theirs.caller.tenant_id) != before:
                problems.append((name, "changed what another tenant has"))
                before = await stored(api.database, theirs.caller.tenant_id)
    assert problems == []


async def test_no_table_shows_another_tenant(api: Any) -> None:
    theirs = await strangers_of(api)
    for name, table in CATALOG.tables.items():
        if "id" not in table.columns:
            continue
        rows = await api.database.fetch(
            f'select id from "{name}" where {table.tenant_column} = $1', theirs.caller.tenant_id
        )
        ids = {str(row["id"]) for row in rows}
        assert ids or name == "edge", f"the world has no {name}"
        data = await api.data(f"{{ {name} {{ id }} {name}_aggregate {{ aggregate {{ count }} nodes {{ id }} }} }}")
        seen = {row["id"] for row in data[name]}
        assert not seen & ids, name
        assert data[f"{name}_aggregate"]["aggregate"]["count"] == len(seen), name
        assert {row["id"] for row in data[f"{name}_aggregate"]["nodes"]} == seen, name
        for ident in ids:
            data = await api.data(
                f'{{ {name}_by_pk(id: "{ident}") {{ id }} {name}(where: {{id: {{_eq: "{ident}"}}}}) {{ id }} }}'
            )
            assert data == {f"{name}_by_pk": None, name: []}, name


async def test_no_other_query_shows_another_tenant(api: Any) -> None:
    theirs = await strangers_of(api)
    task, task_run, flow_run = (theirs.ids[f"{what}_id"] for what in ("task", "task_run", "flow_run"))
    walk = f'(args: {{start_task_ids: "{{{task}}}"}})'
    count = "{ aggregate { count } }"
    nobody = {"min_start_time": None, "max_end_time": None, "state_counts": {}}
    cases: dict[str, tuple[str, Any]] = {
        "hello": ("hello", ...),
        "api": ("api { backend }", ...),
        "reference_data": ("reference_data { state_info }", ...),
        "auth_info": ("auth_info { tenant_id }", {"tenant_id": str(api.tenant_id)}),
        "secret_names": ("secret_names", ["secret ours"]),
        "secret_value": (f'secret_value(name: "{theirs.secret}")', None),
        "get_task_run_info": (f'get_task_run_info(task_run_id: "{task_run}") {{ id }}', None),
        "flow_run_explanation": (f'flow_run_explanation(flow_run_id: "{flow_run}") {{ state }}', None),
        "project_retention": (f'project_retention(project_id: "{theirs.ids["project_id"]}") {{ state }}', None),
        "flow_run_event_page": (f'flow_run_event_page(flow_run_id: "{flow_run}") {{ cursor }}', None),
        "wait_for_slot": (f'wait_for_slot(flow_run_id: "{flow_run}", seconds: 0)', None),
        "mapped_children": (
            f'mapped_children(task_run_id: "{task_run}") {{ min_start_time max_end_time state_counts }}',
            nobody,
        ),
        "utility_traversal": ("utility_traversal { task_id }", []),
        "utility_traversal_aggregate": (f"utility_traversal_aggregate {count}", {"aggregate": {"count": 0}}),
    }
    for direction in ("upstream", "downstream"):
        name = f"utility_{direction}_tasks"
        cases[name] = (f"{name}{walk} {{ task_id }}", [])
        cases[f"{name}_aggregate"] = (f"{name}_aggregate{walk} {count}", {"aggregate": {"count": 0}})
    tables = {
        f"{name}{suffix}"
        for name, table in CATALOG.tables.items()
        if "id" in table.columns
        for suffix in ("", "_aggregate", "_by_pk")
    }
    assert set(SCHEMA.query_type.fields) - tables == set(cases)
    for name, (text, expected) in cases.items():
        answer = (await api.post(f"{{ {text} }}")).json()
        data = (answer.get("data") or {}).get(name)
        if expected is not ...:
            assert data == expected, (name, answer)
        assert ("errors" in answer) is (expected is None), (name, answer)
