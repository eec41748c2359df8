"""Queries as people write them in the playground and in scripts, word by word, against the rows of the world."""

from typing import Any

from compiler_world import Row, identity, our_rows

RUNS = our_rows("flow_run")
FLOWS = our_rows("flow")
TASK_RUNS = our_rows("task_run")


def _runs_of(flow: Row) -> list[Row]:
    return [run for run in RUNS if run["flow_id"] == flow["id"]]


def _newest(runs: list[Row]) -> Any:
    """The start time that `desc` puts first: none at all, before any time."""
    times = [run["start_time"] for run in runs]
    return None if None in times else max(times)


async def test_flows_by_part_of_their_name(asker: Any) -> None:
    data = await asker.ask(
        """
        query {
          flow(where: {name: {_ilike: "%ETL%"}}) {
            id
            name
          }
        }
        """
    )
    assert sorted(row["id"] for row in data["flow"]) == sorted(flow["id"] for flow in FLOWS if "etl" in flow["name"])


async def test_flow_runs_with_their_flow_by_part_of_its_name(asker: Any) -> None:
    data = await asker.ask(
        """
        query {
          flow_run(
            where: {flow: {name: {_ilike: "rep%"}}, state: {_in: ["Running", "Success"]}}
            order_by: {start_time: desc}
          ) { id name state flow { name } }
        }
        """
    )
    reports = {flow["id"] for flow in FLOWS if flow["name"] == "report"}
    expected = [run for run in RUNS if run["flow_id"] in reports and run["state"] in {"Running", "Success"}]
    assert {row["id"] for row in data["flow_run"]} == {run["id"] for run in expected}


async def test_the_newest_run_of_each_flow(asker: Any) -> None:
    data = await asker.ask(
        """
        query {
          flow(order_by: {created: asc}) {
            name
            flow_runs(order_by: {start_time: desc}, limit: 1) {
              start_time
              state
            }
          }
        }
        """
    )
    assert [[run["start_time"] for run in row["flow_runs"]] for row in data["flow"]] == [
        [_newest(_runs_of(flow))] if _runs_of(flow) else [] for flow in sorted(FLOWS, key=lambda flow: flow["created"])
    ]


async def test_the_last_failed_task_runs(asker: Any) -> None:
    data = await asker.ask(
        """
        query {
          task_run(where: {state: {_eq: "Failed"}}, order_by: {state_timestamp: desc}, limit: 5) {
            id
            state_timestamp
            state_message
            flow_run { name flow { name } }
            task { name }
          }
        }
        """
    )
    failed = sorted((run["state_timestamp"] for run in TASK_RUNS if run["state"] == "Failed"), reverse=True)
    assert [row["state_timestamp"] for row in data["task_run"]] == failed[:5]
    assert {row["state_message"] for row in data["task_run"]} == {"now Failed"}


async def test_schedules_of_flow_groups(asker: Any) -> None:
    data = await asker.ask("query { flow_group { schedule } }")
    assert data == {"flow_group": [{"schedule": None}] * len(our_rows("flow_group"))}
    group = identity("ours group g2")
    data = await asker.ask(f'query {{ flow_group_by_pk(id: "{group}") {{ schedule labels flows {{ name }} }} }}')
    assert data == {"flow_group_by_pk": {"schedule": None, "labels": ["a"], "flows": [{"name": "report"}]}}


async def test_flows_that_have_runs_in_a_state(asker: Any) -> None:
    data = await asker.ask(
        """
        query {
          flow(where: {flow_runs: {state: {_eq: "Failed"}}, _not: {flow_runs: {state: {_eq: "Running"}}}}) { id }
        }
        """
    )
    assert {row["id"] for row in data["flow"]} == {
        flow["id"]
        for flow in FLOWS
        if "Failed" in {run["state"] for run in _runs_of(flow)}
        and "Running" not in {run["state"] for run in _runs_of(flow)}
    }


async def test_figures_of_a_project(asker: Any) -> None:
    data = await asker.ask(
        """
        query($name: String!) {
          project(where: {name: {_eq: $name}}) {
            name
            flows(distinct_on: name, order_by: [{name: asc}, {version: desc}]) {
              name
              version
              finished: flow_runs_aggregate(where: {state: {_in: ["Success", "Failed"]}}) { aggregate { count } }
              flow_runs_aggregate { aggregate { count max { start_time } } }
            }
          }
        }
        """,
        {"name": "one"},
    )
    (project,) = data["project"]
    assert [(flow["name"], flow["version"]) for flow in project["flows"]] == [("etl", 2), ("report", 1)]
    for row in project["flows"]:
        runs = [
            run
            for flow in FLOWS
            if (flow["name"], flow["version"]) == (row["name"], row["version"])
            and flow["project_id"] == identity("ours project one")
            for run in _runs_of(flow)
        ]
        assert row["flow_runs_aggregate"]["aggregate"]["count"] == len(runs)
        assert row["finished"]["aggregate"]["count"] == sum(run["state"] in {"Success", "Failed"} for run in runs)


async def test_failed_runs_with_their_failed_tasks_and_last_lines(asker: Any) -> None:
    data = await asker.ask(
        """
        query FailedRuns($since: timestamptz = "2026-03-01", $lines: Int = 3, $withLogs: Boolean = true) {
          flow_run(where: {state: {_eq: "Failed"}, scheduled_start_time: {_gte: $since}}) {
            ...Run
            task_runs(where: {state: {_eq: "Failed"}}, order_by: {map_index: asc}) { id task { slug } }
            logs(order_by: {timestamp: desc}, limit: $lines) @include(if: $withLogs) { message }
          }
          failed: flow_run_aggregate(where: {state: {_eq: "Failed"}}) { aggregate { count } }
        }
        fragment Run on flow_run { id name state parameters(path: "x") }
        """
    )
    failed = [run for run in RUNS if run["state"] == "Failed"]
    assert {row["id"]: row["parameters"] for row in data["flow_run"]} == {
        run["id"]: run["parameters"]["x"] for run in failed
    }
    assert data["failed"]["aggregate"]["count"] == len(failed)
    for row in data["flow_run"]:
        expected = {one["id"] for one in TASK_RUNS if one["flow_run_id"] == row["id"] and one["state"] == "Failed"}
        assert {one["id"] for one in row["task_runs"]} == expected
        lines = [line for line in our_rows("log") if line["flow_run_id"] == row["id"]]
        assert len(row["logs"]) == min(3, len(lines))
