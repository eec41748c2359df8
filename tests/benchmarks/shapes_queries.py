"""The 33 query shapes of 1.4.1 programs (wire-protocol 2.1), and one of the documentation, with places to fill in."""

from __future__ import annotations

VIEW = (
    "id settings run_config serialized_flow name archived project { name } core_version storage flow_group { labels }"
)
DESCRIBED = """where: {_and: {name: {_eq: %s}, version: {_eq: null}, project: {name: {_eq: null}}}},
    order_by: {name: asc, version: desc}, distinct_on: %s"""
TASK_RUN_VIEW = "id name task { id slug } map_index serialized_state flow_run_id"

SHAPES: dict[str, str] = {
    "Q1 hello": "query { hello }",
    "Q2 tenant": "query { tenant { id } }",
    "Q3 tenant": "query { tenant { id slug } }",
    "Q4 tenants": "query { tenant(order_by: {slug: asc}) { id slug name } }",
    "Q5 tenant by id": 'query { tenant(where: {id: {_eq: "<tenant>"}}) { id slug name } }',
    "Q6 project": 'query { project(where: {name: {_eq: "<project>"}}) { id } }',
    "Q7 newest version": """query { flow(where: {_and: {name: {_eq: "<flow_name>"},
        project: {id: {_eq: "<project_id>"}}}}, order_by: {version: desc}, limit: 1) { id version } }""",
    "Q8 flow group": 'query { flow_by_pk(id: "<flow>") { flow_group_id } }',
    "Q9 flow by id": f'query {{ flow(where: {{id: {{_eq: "<flow>"}}}}) {{ {VIEW} }} }}',
    "Q9 flow by group": f"""query {{ flow(where: {{flow_group_id: {{_eq: "<flow>"}}}}, order_by: {{created: desc}})
        {{ {VIEW} }} }}""",
    "Q9 flow by name": f"""query {{ flow(where: {{name: {{_eq: "<flow_name>"}}, archived: {{_eq: false}},
        project: {{name: {{_eq: "<project>"}}}}}}, order_by: {{created: desc}}) {{ {VIEW} }} }}""",
    "Q10 flow to start": """query { flow(where: {name: {_eq: "<flow_name>"}, archived: {_eq: false},
        project: {name: {_eq: "<project>"}}}, order_by: {version: desc}, limit: 1) { id } }""",
    "Q11 describe flows": f"""query {{ flow({DESCRIBED % ('"<flow_name>"', "name")})
        {{ name version project {{ name }} created description parameters archived storage environment }} }}""",
    "Q12 describe tasks": f"""query {{ flow({DESCRIBED % ('"<flow_name>"', "name")})
        {{ tasks {{ name created slug description type max_retries retry_delay mapped }} }} }}""",
    "Q13 get flows": f"""query {{ flow({DESCRIBED % ("null", "name")}, limit: 10)
        {{ name version created id project {{ name }} }} }}""",
    "Q13 all versions": f"""query {{ flow({DESCRIBED % ("null", "null")}, limit: 10)
        {{ name version created id project {{ name }} }} }}""",
    "Q14 get projects": """query { project(where: {_and: {name: {_eq: null}}}, order_by: {name: asc})
        { name created description flows_aggregate(distinct_on: name) { aggregate { count } } } }""",
    "Q15 get tasks": """query { task(where: {_and: {name: {_eq: null}, flow: {name: {_eq: "<flow_name>"},
        version: {_eq: null}, project: {name: {_eq: null}}}}}, limit: 10, order_by: {created: desc})
        { name created flow { name version } mapped type } }""",
    "Q16a get flow-runs": """query { flow_run(where: {flow: {_and: {name: {_eq: "<flow_name>"},
        project: {name: {_eq: null}}}}}, limit: 10, order_by: {created: desc})
        { flow { name } id created state name start_time } }""",
    "Q16a of a flow that seldom runs": """query { flow_run(where: {flow: {_and: {name: {_eq: "<rare_flow_name>"},
        project: {name: {_eq: null}}}}}, limit: 10, order_by: {created: desc})
        { flow { name } id created state name start_time } }""",
    "Q16a of all flows": """query { flow_run(where: {flow: {_and: {name: {_eq: null}, project: {name: {_eq: null}}}}},
        limit: 10, order_by: {created: desc}) { flow { name } id created state name start_time } }""",
    "Q16b --started": """query { flow_run(where: {_and: {flow: {_and: {name: {_eq: null},
        project: {name: {_eq: null}}}}, start_time: {_is_null: false}}}, limit: 10, order_by: {start_time: desc})
        { flow { name } id created state name start_time } }""",
    "Q17 describe flow-runs": """query { flow_run(where: {_and: {name: {_eq: "<run_name>"}, flow: {name: {_eq: null}}}})
        { name flow { name } created parameters auto_scheduled scheduled_start_time start_time end_time
        serialized_state } }""",
    "Q18a get logs by id": """query { flow_run(where: {name: {_eq: null}, id: {_eq: "<run>"}},
        order_by: {start_time: desc}) { logs(order_by: {timestamp: asc}) { timestamp message level } start_time } }""",
    "Q18a get logs by name": """query { flow_run(where: {name: {_eq: "<run_name>"}, id: {_eq: null}},
        order_by: {start_time: desc}) { logs(order_by: {timestamp: asc}) { timestamp message level } start_time } }""",
    "Q18b logs --info": """query { flow_run(where: {name: {_eq: null}, id: {_eq: "<run>"}},
        order_by: {start_time: desc}) { logs(order_by: {timestamp: asc}) { timestamp info } start_time } }""",
    "Q19 run info": """query { flow_run_by_pk(id: "<run>") { id name flow_id parameters context version
        scheduled_start_time serialized_state
        task_runs(where: {map_index: {_eq: -1}}) { id task { id slug } version serialized_state }
        flow { project { name id } } } }""",
    "Q20 state": 'query { flow_run_by_pk(id: "<run>") { serialized_state } }',
    "Q21 settings": 'query { flow_run_by_pk(id: "<run>") { flow { settings } } }',
    "Q22 runs to deploy": """query { flow_run(where: {id: {_in: [<runs>]}, _or: [{state: {_eq: "Scheduled"}},
        {state: {_eq: "Running"}, task_runs: {state_start_time: {_lte: "<now>"}}}]}) {
        id version state serialized_state parameters scheduled_start_time run_config name
        flow { id name environment storage version core_version }
        task_runs(where: {state_start_time: {_lte: "<now>"}}) { id version task_id serialized_state } } }""",
    "Q23 what to execute": """query { flow_run(where: {id: {_eq: "<run>"}})
        { flow { name storage run_config } version } }""",
    "Q24 FlowRunView": """query { flow_run(where: {id: {_eq: "<run>"}}) { id name flow_id serialized_state
        states { timestamp serialized_state } labels parameters context updated run_config } }""",
    "Q25 its logs": """query { flow_run(where: {id: {_eq: "<run>"}}) { logs(order_by: {timestamp: asc},
        where: {_and: [{timestamp: {_lte: "<now>"}}, {timestamp: {_gt: "2020-01-01T00:00:00"}}]})
        { timestamp message level } } }""",
    "Q26 start time": """query { flow_run(where: {id: {_eq: "<run>"}})
        { states(where: {state: {_eq: "Scheduled"}}) { start_time created } scheduled_start_time } }""",
    "Q27 next retry": """query { task_run(where: {state_start_time: {_is_null: false}, flow_run_id: {_eq: "<run>"},
        flow_run: {state: {_eq: "Running"}}}) { state_start_time } }""",
    "Q28 TaskRunView by id": f'query {{ task_run(where: {{id: {{_eq: "<task_run>"}}}}) {{ {TASK_RUN_VIEW} }} }}',
    "Q28 by slug": f"""query {{ task_run(where: {{task: {{slug: {{_eq: "task-2-1"}}}}, flow_run_id: {{_eq: "<run>"}},
        map_index: {{_eq: -1}}}}) {{ {TASK_RUN_VIEW} }} }}""",
    "Q28 mapped": f"""query {{ task_run(where: {{task: {{slug: {{_eq: "task-2-1"}}}}, flow_run_id: {{_eq: "<run>"}},
        map_index: {{_neq: -1}}}}, order_by: {{map_index: asc}}) {{ {TASK_RUN_VIEW} }} }}""",
    "Q28 others": f"""query {{ task_run(where: {{map_index: {{_eq: -1}}, flow_run_id: {{_eq: "<run>"}},
        id: {{_nin: ["<task_run>"]}}}}) {{ {TASK_RUN_VIEW} }} }}""",
    "Q29 task run ids": 'query { task_run(where: {flow_run_id: {_eq: "<run>"}}) { id } }',
    "Q30 cached by key": """query { task_run(where: {state: {_eq: "Cached"},
        state_timestamp: {_gte: "2020-01-01T00:00:00"}, cache_key: {_eq: "<cache_key>"}},
        order_by: {state_timestamp: desc}, limit: 100) { serialized_state } }""",
    "Q30 cached by task": """query { task_run(where: {state: {_eq: "Cached"},
        state_timestamp: {_gte: "<yesterday>"}, task_id: {_eq: "<task>"}},
        order_by: {state_timestamp: desc}, limit: 100) { serialized_state } }""",
    "Q30 cached ever by task": """query { task_run(where: {state: {_eq: "Cached"},
        state_timestamp: {_gte: "2020-01-01T00:00:00"}, task_id: {_eq: "<task>"}}, order_by: {state_timestamp: desc},
        limit: 100) { serialized_state } }""",
    "documented: newest failed task runs": """query { task_run(where: {state: {_eq: "Failed"}},
        order_by: {state_timestamp: desc}, limit: 5) { id state_timestamp flow_run { name } task { name } } }""",
    "Q31 agents": "query { agent { id name labels last_queried } }",
    "Q32 agent config": 'query { agent_config(where: {id: {_eq: "<agent_config>"}}) { settings } }',
    "Q33 task run info": 'query { get_task_run_info(task_run_id: "<task_run>") { serialized_state } }',
}
"""Shape → document. `<run>` and the like are filled in anew for each request, so that no answer is a repeated one."""
