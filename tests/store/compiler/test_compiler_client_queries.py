"""The queries that 1.4.1 programs send, as they are written there, answer the right rows."""

from typing import Any

import asyncpg
import pytest
from compiler_plans import plan_of, walked_whole
from compiler_world import OURS, Row, at, identity, our_rows

RUNS, FLOWS, TASKS, TASK_RUNS = (our_rows(name) for name in ("flow_run", "flow", "task", "task_run"))
RUN, FLOW, TASK_RUN = RUNS[2], FLOWS[0], TASK_RUNS[8]
NOBODY = "00000000-0000-0000-0000-000000000000"


def _part(row: Row, *columns: str) -> Row:
    return {column: row[column] for column in columns}


def _parts(rows: list[Row], *columns: str) -> list[Row]:
    return [_part(row, *columns) for row in rows]


def _one(rows: list[Row], row_id: str) -> Row:
    return next(row for row in rows if row["id"] == row_id)


def _flow_of(run: Row) -> Row:
    return _one(FLOWS, run["flow_id"])


def _project_of(flow: Row) -> Row:
    return _one(our_rows("project"), flow["project_id"])


def _newest(rows: list[Row], column: str = "created") -> list[Row]:
    nulls = [row for row in rows if row[column] is None]
    return nulls + sorted((row for row in rows if row[column] is not None), key=lambda row: row[column], reverse=True)


def _unordered(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=str)


VIEW = (
    "id settings run_config serialized_flow name archived project { name } core_version storage flow_group { labels }"
)


def _view(flow: Row) -> Row:
    group = _one(our_rows("flow_group"), flow["flow_group_id"])
    return {
        **_part(flow, "id", "settings", "run_config", "serialized_flow", "name", "archived", "core_version", "storage"),
        "project": {"name": _project_of(flow)["name"]},
        "flow_group": {"labels": group["labels"]},
    }


DESCRIBED = """where: {_and: {name: {_eq: %s}, version: {_eq: %s}, project: {name: {_eq: %s}}}},
    order_by: {name: asc, version: desc}, distinct_on: %s"""
NEWEST_ETL = max((flow for flow in FLOWS if flow["name"] == "etl"), key=lambda flow: flow["version"])

QUERIES: dict[str, tuple[str, Any]] = {
    "Q1": ("query { hello }", {"hello": "👋"}),
    "Q2": ("query {\n    tenant {\n        id\n    }\n}", {"tenant": [{"id": OURS}]}),
    "Q3": ("query { tenant { id slug } }", {"tenant": [{"id": OURS, "slug": "ours"}]}),
    "Q4": (
        "query { tenant(order_by: {slug: asc}) { id slug name } }",
        {"tenant": [{"id": OURS, "slug": "ours", "name": "ours"}]},
    ),
    "Q5": (
        f'query {{ tenant(where: {{ id: {{ _eq: "{OURS}" }} }}) {{ id slug name }} }}',
        {"tenant": [{"id": OURS, "slug": "ours", "name": "ours"}]},
    ),
    "Q6": (
        'query { project(where: { name: { _eq: "two" } }) { id } }',
        {"project": [{"id": identity("ours project two")}]},
    ),
    "Q6 none": ('query { project(where: { name: { _eq: "three" } }) { id } }', {"project": []}),
    "Q7": (
        f"""query {{ flow(where: {{ _and: {{ name: {{ _eq: "etl" }},
            project: {{ id: {{ _eq: "{identity("ours project one")}" }} }} }} }},
            order_by: {{ version: desc }}, limit: 1) {{ id version }} }}""",
        {"flow": [{"id": identity("ours flow 2"), "version": 2}]},
    ),
    "Q8": (
        f'query {{ flow_by_pk(id: "{FLOW["id"]}") {{ flow_group_id }} }}',
        {"flow_by_pk": {"flow_group_id": FLOW["flow_group_id"]}},
    ),
    "Q9 id": (f'{{ flow(where: {{id: {{_eq: "{FLOW["id"]}"}}}}) {{ {VIEW} }} }}', {"flow": [_view(FLOW)]}),
    "Q9 id of nothing": (f'{{ flow(where: {{id: {{_eq: "{NOBODY}"}}}}) {{ {VIEW} }} }}', {"flow": []}),
    "Q9 group": (
        f"""{{ flow(where: {{flow_group_id: {{_eq: "{identity("ours group g1")}"}}}}, order_by: {{created: desc}})
            {{ {VIEW} }} }}""",
        {"flow": [_view(FLOWS[1]), _view(FLOWS[0])]},
    ),
    "Q9 name": (
        f"""{{ flow(where: {{name: {{_eq: "etl"}}, archived: {{_eq: false}}, project: {{name: {{_eq: "one"}}}}}},
            order_by: {{created: desc}}) {{ {VIEW} }} }}""",
        {"flow": [_view(FLOWS[0])]},
    ),
    "Q9 no project": (
        f"""{{ flow(where: {{name: {{_eq: "etl"}}, archived: {{_eq: false}}, project: {{name: {{_is_null: true}}}}}})
            {{ {VIEW} }} }}""",
        {"flow": []},
    ),
    "Q10": (
        """query { flow(where: { name: { _eq: "etl" }, archived: { _eq: false }, project: { name: { _eq: "one" } } },
            order_by: { version: desc }, limit: 1) { id } }""",
        {"flow": [{"id": FLOWS[0]["id"]}]},
    ),
    "Q11": (
        f"""query {{ flow({DESCRIBED % ('"etl"', "null", "null", "name")})
            {{ name version project {{ name }} created description parameters archived storage environment }} }}""",
        {
            "flow": [
                {
                    **_part(
                        NEWEST_ETL, "name", "version", "created", "description", "parameters", "archived", "storage"
                    ),
                    "environment": None,
                    "project": {"name": "one"},
                }
            ]
        },
    ),
    "Q12": (
        f"""query {{ flow({DESCRIBED % ('"etl"', "1", '"one"', "name")})
            {{ tasks {{ name created slug description type max_retries retry_delay mapped }} }} }}""",
        lambda data: (
            _unordered(data["flow"][0]["tasks"])
            == _unordered(
                _parts(TASKS, "name", "created", "slug", "description", "type", "max_retries", "retry_delay", "mapped")
            )
        ),
    ),
    "Q13": (
        f"""query {{ flow({DESCRIBED % ("null", "null", "null", "name")}, limit: 10)
            {{ name version created id project {{ name }} }} }}""",
        {
            "flow": [
                {**_part(flow, "name", "version", "created", "id"), "project": {"name": _project_of(flow)["name"]}}
                for flow in (NEWEST_ETL, FLOWS[2])
            ]
        },
    ),
    "Q13 all versions": (
        f"query {{ flow({DESCRIBED % ('null', 'null', 'null', 'null')}, limit: 10) {{ name version }} }}",
        lambda data: (
            [(row["name"], row["version"]) for row in data["flow"]]
            == sorted(((flow["name"], flow["version"]) for flow in FLOWS), key=lambda pair: (pair[0], -pair[1]))
        ),
    ),
    "Q14": (
        """query { project(where: {_and: {name: {_eq: null}}}, order_by: {name: asc})
            { name created description flows_aggregate(distinct_on: name) { aggregate { count } } } }""",
        {
            "project": [
                {**_part(project, "name", "created", "description"), "flows_aggregate": {"aggregate": {"count": count}}}
                for project, count in zip(our_rows("project"), (2, 1), strict=True)
            ]
        },
    ),
    "Q15": (
        """query { task(where: {_and: {name: {_eq: null}, flow: {name: {_eq: "etl"}, version: {_eq: null},
            project: {name: {_eq: null}}}}}, limit: 10, order_by: {created: desc})
            { name created flow { name version } mapped type } }""",
        {
            "task": [
                {**_part(task, "name", "created", "mapped", "type"), "flow": {"name": "etl", "version": 1}}
                for task in _newest(TASKS)
            ]
        },
    ),
    "Q16a": (
        """query { flow_run(where: {flow: {_and: {name: {_eq: "etl"}, project: {name: {_eq: null}}}}}, limit: 10,
            order_by: {created: desc}) { flow { name } id created state name start_time } }""",
        {
            "flow_run": [
                {"flow": {"name": "etl"}, **_part(run, "id", "created", "state", "name", "start_time")}
                for run in _newest([run for run in RUNS if _flow_of(run)["name"] == "etl"])[:10]
            ]
        },
    ),
    "Q16b": (
        """query { flow_run(where: {_and: {flow: {_and: {name: {_eq: null}, project: {name: {_eq: null}}}},
            start_time: {_is_null: false}}}, limit: 10, order_by: {start_time: desc}) { start_time } }""",
        {"flow_run": _parts(_newest([run for run in RUNS if run["start_time"]], "start_time"), "start_time")[:10]},
    ),
    "Q17": (
        """query { flow_run(where: {_and: {name: {_eq: "gamma"}, flow: {name: {_eq: null}}}})
            { name flow { name } created parameters auto_scheduled
            scheduled_start_time start_time end_time serialized_state } }""",
        lambda data: (
            _unordered([row["serialized_state"] for row in data["flow_run"]])
            == _unordered([run["serialized_state"] for run in RUNS if run["name"] == "gamma"])
        ),
    ),
    "Q18a": (
        f"""query {{ flow_run(where: {{name: {{_eq: null}}, id: {{_eq: "{RUN["id"]}"}}}},
            order_by: {{start_time: desc}})
            {{ logs(order_by: {{timestamp: asc}}) {{ timestamp message level }} start_time }} }}""",
        {
            "flow_run": [
                {
                    "logs": _parts(
                        sorted(
                            (line for line in our_rows("log") if line["flow_run_id"] == RUN["id"]),
                            key=lambda line: line["timestamp"],
                        ),
                        "timestamp",
                        "message",
                        "level",
                    ),
                    "start_time": RUN["start_time"],
                }
            ]
        },
    ),
    "Q18b": (
        """query { flow_run(where: {name: {_eq: "beta"}, id: {_eq: null}}, order_by: {start_time: desc})
            { logs(order_by: {timestamp: asc}) { timestamp info } start_time } }""",
        lambda data: len(data["flow_run"]) == sum(run["name"] == "beta" for run in RUNS),
    ),
    "Q19": (
        f"""query {{ flow_run_by_pk(id: "{RUN["id"]}") {{ id name flow_id parameters context version
            scheduled_start_time serialized_state
            task_runs(where: {{map_index: {{_eq: -1}}}}) {{ id task {{ id slug }} version
            serialized_state }} flow {{ project {{ name id }} }} }} }}""",
        lambda data: (
            _unordered(data["flow_run_by_pk"]["task_runs"])
            == _unordered(
                [
                    {
                        **_part(one, "id", "version", "serialized_state"),
                        "task": _part(_one(TASKS, one["task_id"]), "id", "slug"),
                    }
                    for one in TASK_RUNS
                    if one["flow_run_id"] == RUN["id"] and one["map_index"] == -1
                ]
            )
        ),
    ),
    "Q19 none": (
        f'query {{ flow_run_by_pk(id: "{NOBODY}") {{ id task_runs {{ id }} }} }}',
        {"flow_run_by_pk": None},
    ),
    "Q20": (
        f'query {{ flow_run_by_pk(id: "{RUN["id"]}") {{ serialized_state }} }}',
        {"flow_run_by_pk": {"serialized_state": RUN["serialized_state"]}},
    ),
    "Q21": (
        f'query {{ flow_run_by_pk(id: "{RUN["id"]}") {{ flow {{ settings }} }} }}',
        {"flow_run_by_pk": {"flow": {"settings": _flow_of(RUN)["settings"]}}},
    ),
    "Q22": (
        f"""query {{ flow_run(where: {{
            id: {{_in: [{", ".join(f'"{run["id"]}"' for run in RUNS[:9])}]}},
            _or: [
                {{state: {{_eq: "Scheduled"}}}},
                {{state: {{_eq: "Running"}}, task_runs: {{state_start_time: {{_lte: "{at(23)}"}}}}}}
            ]}}) {{
            id version state serialized_state parameters scheduled_start_time run_config name
            flow {{ id name environment storage version core_version }}
            task_runs(where: {{state_start_time: {{_lte: "{at(23)}"}}}}) {{ id version task_id serialized_state }}
        }} }}""",
        lambda data: (
            {row["id"] for row in data["flow_run"]}
            == {
                run["id"]
                for run in RUNS[:9]
                if run["state"] == "Scheduled"
                or (
                    run["state"] == "Running"
                    and any(one["flow_run_id"] == run["id"] and one["state_start_time"] for one in TASK_RUNS)
                )
            }
        ),
    ),
    "Q23": (
        f"""query {{ flow_run(where: {{ id: {{ _eq: "{RUN["id"]}" }} }})
            {{ flow {{ name storage run_config }} version }} }}""",
        {"flow_run": [{"flow": _part(_flow_of(RUN), "name", "storage", "run_config"), "version": RUN["version"]}]},
    ),
    "Q24": (
        f"""query {{ flow_run(where: {{id: {{_eq: "{RUN["id"]}"}}}}) {{ id name flow_id serialized_state
            states {{ timestamp serialized_state }} labels parameters context updated run_config }} }}""",
        lambda data: (
            len(data["flow_run"][0].pop("states")) == 3
            and data["flow_run"]
            == [
                _part(
                    RUN,
                    *(
                        "id",
                        "name",
                        "flow_id",
                        "serialized_state",
                        "labels",
                        "parameters",
                        "context",
                        "updated",
                        "run_config",
                    ),
                )
            ]
        ),
    ),
    "Q25": (
        f"""query {{ flow_run(where: {{id: {{_eq: "{RUN["id"]}"}}}}) {{ logs(order_by: {{timestamp: asc}},
            where: {{_and: [{{timestamp: {{_lte: "2026-03-01T23:00:00.774958"}}}}, {{}}]}})
            {{ timestamp message level }} }} }}""",
        lambda data: len(data["flow_run"][0]["logs"]) == 3,
    ),
    "Q25 since": (
        f"""query {{ flow_run(where: {{id: {{_eq: "{RUN["id"]}"}}}}) {{ logs(order_by: {{timestamp: asc}},
            where: {{_and: [{{timestamp: {{_lte: "{at(23)}"}}}}, {{timestamp: {{_gt: "{at(1)}"}}}}]}})
            {{ timestamp message level }} }} }}""",
        lambda data: (
            [line["timestamp"] for line in data["flow_run"][0]["logs"]]
            == sorted(
                line["timestamp"]
                for line in our_rows("log")
                if line["flow_run_id"] == RUN["id"] and line["timestamp"] > at(1)
            )
        ),
    ),
    "Q26": (
        f"""query {{ flow_run(where: {{id: {{_eq: "{RUN["id"]}"}}}}) {{ states(where: {{state: {{_eq: "Scheduled"}}}})
            {{ start_time created }} scheduled_start_time }} }}""",
        {
            "flow_run": [
                {
                    "states": [{"start_time": at(2), "created": at(2)}],
                    "scheduled_start_time": RUN["scheduled_start_time"],
                }
            ]
        },
    ),
    "Q27": (
        f"""query {{ task_run(where: {{ state_start_time: {{_is_null: false}}, flow_run_id: {{_eq: "{RUN["id"]}"}},
            flow_run: {{state: {{_eq: "Running"}}}} }}) {{ state_start_time }} }}""",
        lambda data: (
            sorted(one["state_start_time"] for one in data["task_run"])
            == sorted(
                one["state_start_time"]
                for one in TASK_RUNS
                if one["flow_run_id"] == RUN["id"] and one["state_start_time"] and RUN["state"] == "Running"
            )
        ),
    ),
    "Q28": (
        f"""query {{ task_run(where: {{task: {{slug: {{_eq: "task-2"}}}}, flow_run_id: {{_eq: "{RUN["id"]}"}},
            map_index: {{_neq: -1}}}}, order_by: {{map_index: asc}})
            {{ id name task {{ id slug }} map_index serialized_state flow_run_id }} }}""",
        lambda data: (
            [one["map_index"] for one in data["task_run"]]
            == sorted(
                one["map_index"]
                for one in TASK_RUNS
                if one["flow_run_id"] == RUN["id"]
                and _one(TASKS, one["task_id"])["slug"] == "task-2"
                and one["map_index"] != -1
            )
        ),
    ),
    "Q28 not in": (
        f"""query {{ task_run(where: {{map_index: {{_eq: -1}}, flow_run_id: {{_eq: "{RUN["id"]}"}}, id: {{_nin: []}}}})
            {{ id }} }}""",
        lambda data: (
            len(data["task_run"])
            == sum(one["flow_run_id"] == RUN["id"] and one["map_index"] == -1 for one in TASK_RUNS)
        ),
    ),
    "Q29": (
        f'query {{ task_run(where: {{flow_run_id: {{_eq: "{RUN["id"]}"}}}}) {{ id }} }}',
        lambda data: (
            {one["id"] for one in data["task_run"]}
            == {one["id"] for one in TASK_RUNS if one["flow_run_id"] == RUN["id"]}
        ),
    ),
    "Q30 key": (
        """query { task_run(where: {state: {_eq: "Failed"}, state_timestamp: {_gte: "2026-03-01T00:00:00.5"},
            cache_key: {_eq: "cache 1"}}, order_by: {state_timestamp: desc}, limit: 100) { serialized_state } }""",
        lambda data: (
            len(data["task_run"])
            == sum(one["state"] == "Failed" and one["cache_key"] == "cache 1" for one in TASK_RUNS)
        ),
    ),
    "Q30 task": (
        f"""query {{ task_run(where: {{state: {{_eq: "Failed"}}, state_timestamp: {{_gte: "{at(0)}"}},
            task_id: {{_eq: "{TASK_RUN["task_id"]}"}}}}, order_by: {{state_timestamp: desc}}, limit: 100)
            {{ serialized_state }} }}""",
        lambda data: (
            len(data["task_run"])
            == sum(one["state"] == "Failed" and one["task_id"] == TASK_RUN["task_id"] for one in TASK_RUNS)
        ),
    ),
    "Q31": (
        "query { agent { id name labels last_queried } }",
        {"agent": _parts(our_rows("agent"), "id", "name", "labels", "last_queried")},
    ),
    "Q32": (
        f'query {{ agent_config(where: {{ id: {{ _eq: "{identity("ours config")}" }} }}) {{ settings }} }}',
        {"agent_config": [{"settings": {"job": 1}}]},
    ),
    "Q33": (
        f'query {{ get_task_run_info(task_run_id: "{TASK_RUN["id"]}") {{ serialized_state }} }}',
        {"get_task_run_info": {"serialized_state": TASK_RUN["serialized_state"]}},
    ),
}


@pytest.mark.parametrize("name", QUERIES)
async def test_query(asker: Any, name: str) -> None:
    text, expected = QUERIES[name]
    data = await asker.ask(text)
    if callable(expected):
        assert expected(data), data
    else:
        assert data == expected


def test_every_numbered_shape_is_here() -> None:
    numbers = {name.split()[0].rstrip("ab") for name in QUERIES}
    assert numbers == {f"Q{number}" for number in range(1, 34)}


# custom fields are no tables
PLANNED = [name for name, (text, _) in QUERIES.items() if "hello" not in text and "get_task_run_info" not in text]


@pytest.mark.parametrize("name", PLANNED)
async def test_no_shape_walks_a_big_table(many: asyncpg.Connection, name: str) -> None:
    plan = await plan_of(many, QUERIES[name][0])
    assert not walked_whole(plan), plan
