"""The rules of `where`, in documents and in variables, each against rows of the world."""

from typing import Any

import pytest
from compiler_world import Row, at, identity, our_rows

RUNS = our_rows("flow_run")
FLOWS = our_rows("flow")


def _flow_of(row: Row) -> Row:
    return next(flow for flow in FLOWS if flow["id"] == row["flow_id"])


def _project_of(row: Row) -> str:
    return next(one["name"] for one in our_rows("project") if one["id"] == _flow_of(row)["project_id"])


def _task_runs_of(row: Row) -> list[Row]:
    return [one for one in our_rows("task_run") if one["flow_run_id"] == row["id"]]


def _named(row: Row, test: Any) -> bool:
    return row["name"] is not None and test(row["name"])


def _not_beta_nor_high(row: Row) -> bool:
    # SQL: unknown or true is true, unknown or false is unknown, and the negation of unknown matches nothing
    return row["version"] <= 5 and row["name"] is not None and row["name"] != "beta"


WHERE: list[tuple[str, Any]] = [
    ("{}", lambda _: True),
    ("null", lambda _: True),
    ('{state: {_eq: "Running"}}', lambda r: r["state"] == "Running"),
    ('{state: {_neq: "Running"}}', lambda r: r["state"] not in {None, "Running"}),
    ('{state: {_in: ["Running", "Failed"]}}', lambda r: r["state"] in {"Running", "Failed"}),
    ('{state: {_in: "Running"}}', lambda r: r["state"] == "Running"),
    ('{state: {_nin: ["Running", "Failed"]}}', lambda r: r["state"] not in {None, "Running", "Failed"}),
    ("{state: {_in: []}}", lambda _: False),
    ("{state: {_nin: []}}", lambda _: True),
    ("{state: {_is_null: true}}", lambda r: r["state"] is None),
    ("{state: {_is_null: false}}", lambda r: r["state"] is not None),
    ("{state: {_is_null: null}}", lambda _: True),
    ("{state: {}}", lambda _: True),
    ("{state: null}", lambda _: True),
    ("{state: {_eq: null}}", lambda _: True),
    ('{state: {_eq: null, _neq: "Failed"}}', lambda r: r["state"] not in {None, "Failed"}),
    ("{version: {_gt: 2, _lte: 5}}", lambda r: 2 < r["version"] <= 5),
    ("{version: {_gte: 2, _lt: 5}}", lambda r: 2 <= r["version"] < 5),
    ("{auto_scheduled: {_eq: true}}", lambda r: r["auto_scheduled"]),
    ("{auto_scheduled: {_lt: true}}", lambda r: not r["auto_scheduled"]),
    ('{created: {_gt: "2026-03-01T05:00:00"}}', lambda r: r["created"] > at(5)),
    ('{created: {_gt: "2026-03-01 05:00"}}', lambda r: r["created"] > at(5)),
    ('{created: {_gt: "2026-03-01T06:00:00+01:00"}}', lambda r: r["created"] > at(5)),
    ('{created: {_in: ["2026-03-01T05:00Z", "2026-03-01T06:00:00.0"]}}', lambda r: r["created"] in {at(5), at(6)}),
    ('{created: {_lt: "now"}}', lambda _: True),
    (f'{{id: {{_eq: "{identity("ours run 3").upper()}"}}}}', lambda r: r["id"] == identity("ours run 3")),
    (
        f'{{id: {{_in: ["{{{identity("ours run 3")}}}", "{identity("ours run 4").replace("-", "")}"]}}}}',
        lambda r: r["id"] in {identity("ours run 3"), identity("ours run 4")},
    ),
    ('{name: {_like: "alpha%"}}', lambda r: _named(r, lambda n: n.startswith("alpha"))),
    ('{name: {_like: "ALPHA%"}}', lambda _: False),
    ('{name: {_ilike: "ALPHA%"}}', lambda r: _named(r, lambda n: n.startswith("alpha"))),
    ('{name: {_nlike: "alpha%"}}', lambda r: _named(r, lambda n: not n.startswith("alpha"))),
    ('{name: {_nilike: "%ALPHA"}}', lambda r: _named(r, lambda n: n != "alpha")),
    ('{name: {_similar: "(alpha|beta)"}}', lambda r: r["name"] in {"alpha", "beta"}),
    ('{name: {_nsimilar: "(alpha|beta)"}}', lambda r: _named(r, lambda n: n not in {"alpha", "beta"})),
    ('{name: {_regex: "^a.*t$"}}', lambda r: r["name"] == "alphabet"),
    ('{name: {_iregex: "^A"}}', lambda r: _named(r, lambda n: n.startswith("a"))),
    ('{name: {_nregex: "^a"}}', lambda r: _named(r, lambda n: not n.startswith("a"))),
    ('{name: {_niregex: "^A"}}', lambda r: _named(r, lambda n: not n.startswith("a"))),
    ('{labels: {_contains: ["b"]}}', lambda r: "b" in r["labels"]),
    ('{labels: {_contains: "b"}}', lambda r: "b" in r["labels"]),
    ('{labels: {_contained_in: ["a"]}}', lambda r: set(r["labels"]) <= {"a"}),
    ('{labels: {_eq: ["a", "b"]}}', lambda r: r["labels"] == ["a", "b"]),
    ('{labels: {_neq: ["a", "b"]}}', lambda r: r["labels"] != ["a", "b"]),
    ('{labels: {_in: [["a"], []]}}', lambda r: r["labels"] in [["a"], []]),
    ('{labels: {_has_key: "b"}}', lambda r: "b" in r["labels"]),
    ('{labels: {_has_keys_any: ["b", "x"]}}', lambda r: "b" in r["labels"]),
    ('{labels: {_has_keys_any: "b"}}', lambda r: "b" in r["labels"]),
    ('{labels: {_has_keys_all: ["a", "b"]}}', lambda r: r["labels"] == ["a", "b"]),
    ("{parameters: {_contains: {x: 1}}}", lambda r: r["parameters"]["x"] == 1),
    ('{parameters: {_contains: {deep: {list: [{y: "z"}]}}}}', lambda _: True),
    ("{parameters: {_contains: {deep: {list: [7]}}}}", lambda r: 7 in r["parameters"]["deep"]["list"]),
    ('{parameters: {_cast: {String: {_like: "%[7,%"}}}}', lambda r: 7 in r["parameters"]["deep"]["list"]),
    ("{parameters: {_cast: {String: null}}}", lambda _: True),
    ("{parameters: {_cast: {}}}", lambda _: True),
    ("{heartbeat: {_is_null: false}}", lambda r: r["id"] in {run["id"] for run in RUNS[:3]}),
    ("{_and: []}", lambda _: True),
    ("{_and: null}", lambda _: True),
    ("{_or: []}", lambda _: False),
    ("{_or: null}", lambda _: True),
    ("{_not: null}", lambda _: True),
    ("{_not: {}}", lambda _: False),
    ("{_and: [{}, {}]}", lambda _: True),
    ('{_and: {state: {_eq: "Running"}, version: {_gt: 3}}}', lambda r: r["state"] == "Running" and r["version"] > 3),
    ('{_or: {state: {_eq: "Running"}, version: {_gt: 3}}}', lambda r: r["state"] == "Running" and r["version"] > 3),
    ('{_or: [{state: {_eq: "Running"}}, {}]}', lambda _: True),
    ('{_or: [{state: {_eq: "Running"}}, {version: {_gt: 8}}]}', lambda r: r["state"] == "Running" or r["version"] > 8),
    ('{_not: {state: {_eq: "Running"}}}', lambda r: r["state"] not in {None, "Running"}),
    ("{_not: {state: {_eq: null}}}", lambda _: False),
    ('{_not: {_or: [{name: {_eq: "beta"}}, {version: {_gt: 5}}]}}', _not_beta_nor_high),
    ('{flow: {name: {_eq: "etl"}}}', lambda r: _flow_of(r)["name"] == "etl"),
    ('{flow: {project: {name: {_eq: "two"}}}}', lambda r: _project_of(r) == "two"),
    ("{flow: {}}", lambda _: True),
    ("{flow: null}", lambda _: True),
    ("{flow: {_and: {name: {_eq: null}, project: {name: {_eq: null}}}}}", lambda _: True),
    ("{flow: {project: {name: {_is_null: true}}}}", lambda _: False),
    ("{agent: {}}", lambda r: r["agent_id"] is not None),
    ("{_not: {agent: {}}}", lambda r: r["agent_id"] is None),
    ("{agent: {name: {_eq: null}}}", lambda r: r["agent_id"] is not None),
    ("{task_runs: {}}", lambda r: bool(_task_runs_of(r))),
    ("{_not: {task_runs: {}}}", lambda r: not _task_runs_of(r)),
    (
        '{task_runs: {state: {_eq: "Failed"}, map_index: {_gte: 0}}}',
        lambda r: any(t["state"] == "Failed" and t["map_index"] >= 0 for t in _task_runs_of(r)),
    ),
    (
        '{task_runs: {flow_run: {task_runs: {state: {_eq: "Failed"}}}}}',
        lambda r: any(t["state"] == "Failed" for t in _task_runs_of(r)),
    ),
    ('{logs: {level: {_eq: "ERROR"}}}', lambda r: any(_errors_of(r))),
]


def _errors_of(run: Row) -> list[Row]:
    return [line for line in our_rows("log") if line["flow_run_id"] == run["id"] and line["level"] == "ERROR"]


@pytest.mark.parametrize(("where", "holds"), WHERE, ids=[where for where, _ in WHERE])
async def test_where_written_in_the_document(asker: Any, where: str, holds: Any) -> None:
    answer = await asker.ask(f"{{ flow_run(where: {where}, order_by: {{id: asc}}) {{ id }} }}")
    assert [row["id"] for row in answer["flow_run"]] == sorted(row["id"] for row in RUNS if holds(row))


VARIABLES: list[tuple[Any, Any]] = [
    ({"state": {"_eq": "Running"}}, lambda r: r["state"] == "Running"),
    ({"_and": {"state": {"_in": "Running"}}}, lambda r: r["state"] == "Running"),
    ({"version": {"_gte": 3.0}}, lambda r: r["version"] >= 3),
    ({"parameters": {"_contains": {"x": 1}}}, lambda r: r["parameters"]["x"] == 1),
    ({"labels": {"_contains": "a"}}, lambda r: "a" in r["labels"]),
    ({"state": None, "_or": [{"state": {"_eq": None}}]}, lambda _: True),
    (None, lambda _: True),
]


@pytest.mark.parametrize(("where", "holds"), VARIABLES, ids=[str(where) for where, _ in VARIABLES])
async def test_where_as_a_variable(asker: Any, where: Any, holds: Any) -> None:
    answer = await asker.ask(
        "query($where: flow_run_bool_exp) { flow_run(where: $where, order_by: {id: asc}) { id } }", {"where": where}
    )
    assert [row["id"] for row in answer["flow_run"]] == sorted(row["id"] for row in RUNS if holds(row))


async def test_variables_inside_where(asker: Any) -> None:
    text = """query($state: String, $ids: [uuid!], $limit: Int = 2, $data: jsonb, $version: Int) {
        flow_run(
            where: {
                state: {_eq: $state}, id: {_in: $ids}
                parameters: {_contains: {deep: $data}}, version: {_gt: $version}
            }
            limit: $limit order_by: {id: asc}
        ) { id }
    }"""
    everything = sorted(row["id"] for row in RUNS)
    assert await asker.ask(text, {}) == {"flow_run": [{"id": one} for one in everything[:2]]}
    assert await asker.ask(text, {"limit": None}) == {"flow_run": [{"id": one} for one in everything]}
    given = {"state": None, "ids": everything[3:6], "limit": 9, "data": {"list": []}}
    assert await asker.ask(text, given) == {"flow_run": [{"id": one} for one in everything[3:6]]}
