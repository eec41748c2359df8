"""Aggregates, related rows, JSON paths, fragments, aliases and directives, each against rows of the world."""

from typing import Any

from compiler_world import Row, identity, our_rows

RUNS = our_rows("flow_run")
FLOWS = our_rows("flow")


def _flow_of(row: Row) -> Row:
    return next(flow for flow in FLOWS if flow["id"] == row["flow_id"])


def _task_runs_of(row: Row) -> list[Row]:
    return [one for one in our_rows("task_run") if one["flow_run_id"] == row["id"]]


async def test_aggregates(asker: Any) -> None:
    answer = await asker.ask(
        """{ flow_run_aggregate(where: {version: {_gt: 0}}) {
            kind: __typename
            aggregate {
                __typename count
                states: count(columns: state, distinct: true) named: count(columns: [name])
                both: count(columns: [name, agent_id]) pairs: count(columns: [name, state], distinct: true)
                plain: count(distinct: true)
                max { version top: version name start_time id __typename } min { version }
                sum { version } avg { version } var_pop { version }
            }
            nodes { id flow { name } task_runs(limit: 1) { id } }
        } }"""
    )
    rows = [row for row in RUNS if row["version"] > 0]
    figures = answer["flow_run_aggregate"]["aggregate"]
    assert answer["flow_run_aggregate"]["kind"] == "flow_run_aggregate"
    assert figures["__typename"] == "flow_run_aggregate_fields"
    assert figures["count"] == figures["plain"] == len(rows)
    assert figures["states"] == len({row["state"] for row in rows})
    assert figures["named"] == sum(row["name"] is not None for row in rows)
    assert figures["both"] == sum(row["name"] is not None and row["agent_id"] is not None for row in rows)
    assert figures["pairs"] == len({(row["name"], row["state"]) for row in rows if row["name"]})
    assert figures["max"]["version"] == figures["max"]["top"] == max(row["version"] for row in rows)
    assert figures["max"]["id"] == max(row["id"] for row in rows)
    assert figures["max"]["__typename"] == "flow_run_max_fields"
    assert figures["sum"]["version"] == sum(row["version"] for row in rows)
    nodes = {row["id"]: row["flow"]["name"] for row in answer["flow_run_aggregate"]["nodes"]}
    assert nodes == {row["id"]: _flow_of(row)["name"] for row in rows}


async def test_aggregates_over_limited_distinct_and_no_rows(asker: Any) -> None:
    answer = await asker.ask(
        """{ few: flow_run_aggregate(limit: 3, order_by: {id: asc}) { aggregate { count } nodes { id } }
            names: flow_aggregate(distinct_on: name) { aggregate { count } }
            none: flow_run_aggregate(where: {_or: []}) {
                aggregate { count max { version name } avg { version } sum { version } } nodes { id }
            } }"""
    )
    ids = sorted(row["id"] for row in RUNS)[:3]
    assert answer["few"] == {"aggregate": {"count": 3}, "nodes": [{"id": one} for one in ids]}
    assert answer["names"] == {"aggregate": {"count": 2}}
    assert answer["none"] == {
        "aggregate": {
            "count": 0,
            "max": {"version": None, "name": None},
            "avg": {"version": None},
            "sum": {"version": None},
        },
        "nodes": [],
    }


async def test_rows_keep_their_order_beside_related_rows(asker: Any) -> None:
    answer = await asker.ask(
        "{ flow_run(order_by: {id: desc}) { id flow { id project { name } }"
        " task_runs(order_by: {id: desc}) { id task { name } } } }"
    )
    ids = [row["id"] for row in answer["flow_run"]]
    assert ids == sorted(ids, reverse=True)
    for row in answer["flow_run"]:
        inner = [one["id"] for one in row["task_runs"]]
        assert inner == sorted(inner, reverse=True)
        assert len(inner) == len(_task_runs_of(row))


async def test_paths_inside_json(asker: Any) -> None:
    run = RUNS[7]
    answer = await asker.ask(
        """query($id: uuid!) { flow_run_by_pk(id: $id) {
            x: parameters(path: "$.x") first: parameters(path: "deep.list[0]") y: parameters(path: "$.deep.list[1].y")
            quoted: parameters(path: "$['deep']") label: labels(path: "[0]") none: parameters(path: "$.nothing.here")
            all: parameters(path: "$") plain: parameters(path: null)
        } }""",
        {"id": run["id"]},
    )
    assert answer["flow_run_by_pk"] == {
        "x": run["parameters"]["x"],
        "first": 7,
        "y": "z",
        "quoted": run["parameters"]["deep"],
        "label": run["labels"][0] if run["labels"] else None,
        "none": None,
        "all": run["parameters"],
        "plain": run["parameters"],
    }


async def test_selections(asker: Any) -> None:
    answer = await asker.ask(
        """query Named($yes: Boolean = true, $no: Boolean!) {
            second: flow(where: {name: {_eq: "report"}}) { ...parts name version }
            first: flow(where: {name: {_eq: "report"}}) {
                __typename ... on flow { project { name } } ... { project { id } } project { label: name }
                version @include(if: $no) archived @skip(if: $no) name @include(if: $yes) @skip(if: $no)
                ...parts @include(if: $no)
            }
            hello
            __typename
            gone: flow @skip(if: $yes) { id }
        }
        fragment parts on flow { group: flow_group { name ...deeper } }
        fragment deeper on flow_group { labels }""",
        {"no": False},
    )
    assert list(answer) == ["second", "first", "hello", "__typename"]
    assert answer["second"] == [{"group": {"name": "vg-g2", "labels": ["a"]}, "name": "report", "version": 1}]
    assert list(answer["second"][0]) == ["group", "name", "version"]
    project = {"name": "one", "id": identity("ours project one"), "label": "one"}
    assert answer["first"] == [{"__typename": "flow", "project": project, "archived": False, "name": "report"}]
    assert list(answer["first"][0]) == ["__typename", "project", "archived", "name"]
    assert answer["hello"] == "👋"
    assert answer["__typename"] == "Query"


async def test_more_fields_than_a_function_takes_arguments(asker: Any) -> None:
    fields = " ".join(
        f"field_with_a_very_long_response_key_that_postgres_would_cut_somewhere_{i}: name" for i in range(300)
    )
    answer = await asker.ask(f"{{ project(order_by: {{name: asc}}, limit: 1) {{ {fields} }} }}")
    assert len(answer["project"][0]) == 300
    assert set(answer["project"][0].values()) == {"one"}


async def test_introspection_beside_tables(asker: Any) -> None:
    answer = await asker.ask(
        '{ project(limit: 1, order_by: {name: asc}) { name } __type(name: "project") { kind } api { backend } }'
    )
    assert answer == {"project": [{"name": "one"}], "__type": {"kind": "OBJECT"}, "api": {"backend": "SERVER"}}


async def test_aggregates_of_which_only_the_type_is_asked(asker: Any) -> None:
    names = "{ __typename aggregate { __typename max { __typename } } }"
    expected = {
        "__typename": "flow_aggregate",
        "aggregate": {"__typename": "flow_aggregate_fields", "max": {"__typename": "flow_max_fields"}},
    }
    answer = await asker.ask(
        f"""{{ flow_aggregate {names} none: flow_aggregate(where: {{name: {{_eq: "nothing"}}}}) {names}
            project(order_by: {{name: asc}}) {{ name flows_aggregate {names} }} }}"""
    )
    assert answer["flow_aggregate"] == answer["none"] == expected
    assert answer["project"] == [{"name": name, "flows_aggregate": expected} for name in ("one", "two")]
