"""The rules of order_by, limit, offset and distinct_on, each against rows of the world."""

from typing import Any

import pytest
from compiler_world import Row, our_rows

RUNS = our_rows("flow_run")
FLOWS = our_rows("flow")


def _flow_of(row: Row) -> Row:
    return next(flow for flow in FLOWS if flow["id"] == row["flow_id"])


def _project_of(row: Row) -> str:
    return next(one["name"] for one in our_rows("project") if one["id"] == _flow_of(row)["project_id"])


def _task_runs_of(row: Row) -> list[Row]:
    return [one for one in our_rows("task_run") if one["flow_run_id"] == row["id"]]


ORDERS: list[tuple[str, Any]] = [
    ("{start_time: asc}", lambda r: (r["start_time"] is None, r["start_time"] or "")),
    ("{start_time: asc_nulls_first}", lambda r: (r["start_time"] is not None, r["start_time"] or "")),
    ("{start_time: asc_nulls_last}", lambda r: (r["start_time"] is None, r["start_time"] or "")),
    ("{start_time: null}", lambda _: ()),
    ("{}", lambda _: ()),
    ("[]", lambda _: ()),
    ("null", lambda _: ()),
    ("{version: asc}", lambda r: (r["version"],)),
    ("{version: asc, state: null}", lambda r: (r["version"],)),
    ("[{auto_scheduled: asc}, {version: asc}]", lambda r: (r["auto_scheduled"], r["version"])),
    ("{version: asc, auto_scheduled: asc}", lambda r: (r["version"], r["auto_scheduled"])),
    ("{auto_scheduled: asc, version: asc}", lambda r: (r["auto_scheduled"], r["version"])),
    ("{flow: {name: asc, version: asc}}", lambda r: (_flow_of(r)["name"], _flow_of(r)["version"])),
    ("{flow: {project: {name: asc}}}", lambda r: (_project_of(r),)),
    ("{task_runs_aggregate: {count: asc}}", lambda r: (len(_task_runs_of(r)),)),
    (
        "{task_runs_aggregate: {max: {map_index: asc_nulls_first}}}",
        lambda r: (max((t["map_index"] for t in _task_runs_of(r)), default=-9),),
    ),
]


@pytest.mark.parametrize(("order", "key"), ORDERS, ids=[order for order, _ in ORDERS])
async def test_order(asker: Any, order: str, key: Any) -> None:
    answer = await asker.ask(f"{{ flow_run(order_by: {order}) {{ id }} }}")
    by_id = {row["id"]: row for row in RUNS}
    keys = [key(by_id[row["id"]]) for row in answer["flow_run"]]
    assert len(keys) == len(RUNS)
    assert keys == sorted(keys)


async def test_descending_puts_nulls_first_unless_told(asker: Any) -> None:
    answer = await asker.ask(
        "{ a: flow_run(order_by: {start_time: desc}) { start_time }"
        " b: flow_run(order_by: {start_time: desc_nulls_last}) { start_time }"
        " c: flow_run(order_by: {start_time: desc_nulls_first}) { start_time } }"
    )
    present = sorted((row["start_time"] for row in RUNS if row["start_time"]), reverse=True)
    nulls = [None] * (len(RUNS) - len(present))
    assert [row["start_time"] for row in answer["a"]] == nulls + present
    assert [row["start_time"] for row in answer["b"]] == present + nulls
    assert answer["c"] == answer["a"]


async def test_order_keeps_the_written_order_of_variables(asker: Any) -> None:
    text = "query($order: [flow_order_by!]) { flow(order_by: $order) { version name } }"
    first = await asker.ask(text, {"order": {"version": "desc", "name": "asc"}})
    second = await asker.ask(text, {"order": {"name": "asc", "version": "desc"}})
    pairs = [(flow["version"], flow["name"]) for flow in FLOWS]
    assert [(row["version"], row["name"]) for row in first["flow"]] == sorted(pairs, key=lambda p: (-p[0], p[1]))
    assert [(row["version"], row["name"]) for row in second["flow"]] == sorted(pairs, key=lambda p: (p[1], -p[0]))


async def test_limit_and_offset(asker: Any) -> None:
    ids = sorted(row["id"] for row in RUNS)
    answer = await asker.ask(
        "{ a: flow_run(order_by: {id: asc}, limit: 3) { id }"
        " b: flow_run(order_by: {id: asc}, limit: 3, offset: 2) { id }"
        " c: flow_run(order_by: {id: asc}, offset: 12) { id } d: flow_run(limit: 0) { id }"
        " e: flow_run(order_by: {id: asc}, limit: null, offset: null, where: null, distinct_on: null) { id }"
        " f: flow_run(offset: 2147483647, limit: 2147483647) { id } }"
    )
    found = {key: [row["id"] for row in rows] for key, rows in answer.items()}
    assert found == {"a": ids[:3], "b": ids[2:5], "c": ids[12:], "d": [], "e": ids, "f": []}


async def test_distinct_on(asker: Any) -> None:
    answer = await asker.ask(
        "{ a: flow(distinct_on: name, order_by: {name: asc, version: desc}) { name version }"
        " b: flow(distinct_on: [name, archived], order_by: [{archived: asc}, {name: asc}, {version: asc}])"
        " { name archived }"
        " c: flow(distinct_on: [name], limit: 1, offset: 1, order_by: {name: asc}) { name }"
        " d: flow(distinct_on: name) { name }"
        " e: flow(distinct_on: [name, version], order_by: {name: asc}) { name version }"
        " f: flow(distinct_on: []) { name } }"
    )
    assert answer["a"] == [{"name": "etl", "version": 2}, {"name": "report", "version": 1}]
    assert answer["b"] == [
        {"name": "etl", "archived": False},
        {"name": "report", "archived": False},
        {"name": "etl", "archived": True},
    ]
    assert answer["c"] == [{"name": "report"}]
    assert sorted(row["name"] for row in answer["d"]) == ["etl", "report"]
    assert sorted((row["name"], row["version"]) for row in answer["e"]) == [("etl", 1), ("etl", 2), ("report", 1)]
    assert len(answer["f"]) == len(FLOWS)
