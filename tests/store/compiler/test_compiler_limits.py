"""Row limits cut lists and say so; the cost of an operation follows its limits and its nesting."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from compiler_world import our_rows

from flowstead_server.api.schema import api_schema
from flowstead_server.compiler.limits import Limits

RUNS = our_rows("flow_run")
FEW = Limits(default_rows=3, most_rows=5, cost=2_000)


async def _answer(asker: Any, text: str, **variables: Any) -> tuple[Any, Any]:
    context = asker.context()
    result = await api_schema(FEW).execute(text, variable_values=variables, context_value=context)
    assert not result.errors, result.errors
    return orjson.loads(orjson.dumps(result.data)), result.extensions


def _lists(extensions: Any) -> list[Any]:
    return extensions["row_limit"]["lists"] if extensions else []


@pytest.mark.parametrize(
    ("arguments", "rows", "cut_after"),
    [
        ("", 3, 3),
        ("(limit: null)", 3, 3),
        ("(limit: 2)", 2, None),
        ("(limit: 5)", 5, None),
        ("(limit: 6)", 5, 5),
        ("(limit: 1000000)", 5, 5),
        ("(limit: 0)", 0, None),
        ('(where: {state: {_eq: "nothing"}})', 0, None),
        ("(limit: 100, offset: 12)", len(RUNS) - 12, None),
        ("(order_by: {created: desc}, distinct_on: created, offset: 1)", 3, 3),
    ],
)
async def test_a_list_is_cut_and_the_answer_says_so(asker: Any, arguments: str, rows: int, cut_after: int) -> None:
    data, extensions = await _answer(asker, f"{{ flow_run{arguments} {{ id state_message }} }}")
    assert len(data["flow_run"]) == rows
    assert _lists(extensions) == ([{"path": ["flow_run"], "rows": cut_after}] if cut_after else [])


async def test_nested_lists_are_cut_under_their_own_paths(asker: Any) -> None:
    data, extensions = await _answer(
        asker,
        """{ tabs: flow_run(limit: 2, order_by: {created: asc}) { id serialized_state flow { runs: flow_runs { id } }
            task_runs(limit: 9) { id } states(limit: 1) { id } } project(limit: 2) { id } }""",
    )
    assert _lists(extensions) == [
        {"path": ["tabs", "flow", "runs"], "rows": 3},
    ]
    assert [len(row["flow"]["runs"]) for row in data["tabs"]] == [3, 3]
    assert "tabs.flow.runs after 3 rows" in extensions["row_limit"]["message"]


async def test_figures_are_over_all_rows_and_listed_nodes_are_bounded(asker: Any) -> None:
    data, extensions = await _answer(
        asker, "{ flow_run_aggregate { aggregate { count } nodes { id } } some: flow_run_aggregate { nodes { id } } }"
    )
    assert data["flow_run_aggregate"]["aggregate"]["count"] == len(RUNS)
    assert len(data["flow_run_aggregate"]["nodes"]) == len(data["some"]["nodes"]) == 3
    assert [one["path"] for one in _lists(extensions)] == [["flow_run_aggregate", "nodes"], ["some", "nodes"]]


async def test_tabs_in_values_are_no_marks(asker: Any) -> None:
    data, extensions = await _answer(
        asker,
        """query($id: uuid!) { flow_run_by_pk(id: $id) { parameters flow { name } } flow_run(limit: 1) { id }
            tab: flow(limit: 2, where: {name: {_neq: "\\t\\t"}}) { name } }""",
        id=RUNS[0]["id"],
    )
    assert len(data["tab"]) == 2
    assert not extensions


@pytest.mark.parametrize(
    ("text", "cost"),
    [
        ("{ flow_run(limit: 5) { id name flow { id name } } }", 5 * 3 + 5 * 2),
        ("{ flow_run(limit: 5) { task_runs(limit: 4) { id } } }", 5 + 5 * 4),
        ('{ flow_run(where: {id: {_eq: "00000000-0000-0000-0000-000000000000"}}) { id task_runs { id } } }', 2 + 20),
        ("{ flow_run { id } }", 100),
        ("{ flow_run_aggregate { aggregate { count } } }", 1),
        ("query($n: Int = 7) { flow_run(limit: $n) { id } }", 7),
        ("{ a: flow_run(limit: 5) { ...F } b: flow_run(limit: 6) { ...F } } fragment F on flow_run { id name }", 22),
    ],
)
async def test_cost(asker: Any, text: str, cost: int) -> None:
    for allowed, passes in ((cost, True), (cost - 1, False)):
        schema = api_schema(Limits(cost=allowed))
        result = await schema.execute(text, context_value=asker.context())
        if passes:
            assert not result.errors
        else:
            (error,) = result.errors
            assert error.extensions == {"code": "QUERY_TOO_LARGE", "limit": "cost", "allowed": allowed}
            assert f"may return {cost} values" in error.message


async def test_an_asker_with_a_cheap_question_never_meets_a_limit(asker: Any) -> None:
    defaults = replace(asker, schema=api_schema(Limits()))
    deep = "{ project { flows { flow_runs(limit: 5) { id name task_runs { id state logs(limit: 10) { id } } } } } }"
    assert (await defaults.ask(deep))["project"]


async def test_an_answer_that_is_too_long_is_refused(asker: Any) -> None:
    short = api_schema(Limits(answer_bytes=300))
    assert not (await short.execute("{ flow_run(limit: 2) { id } }", context_value=asker.context())).errors
    result = await short.execute("{ flow_run { id } project { id } }", context_value=asker.context())
    (error,) = result.errors
    assert result.data is None
    assert error.extensions == {"code": "QUERY_TOO_LARGE", "limit": "answer_bytes", "allowed": 300}
    assert "longer than 300 bytes" in error.message
