"""The operations that 1.4.1 sends, by the numbers of docs/compatibility.md: how each is known by its text."""

import re

# Texts come without white space, with every string as S; the order inside a selection differs from run to run.
_TENANT, _FLOW, _RUN = r"query\{tenant", r"query\{flow\(where:", r"query\{flow_run\(where:"
_BY_PK, _ONE_RUN = r"query\{flow_run_by_pk\(id:S\)\{", r"query\{flow_run\(where:\{id:\{_eq:S\}\}\)\{"
_QUERIES = {
    "Q1": r"query\{hello\}",
    "Q2": _TENANT + r"\{id\}\}",
    "Q3": _TENANT + r"\{(idslug|slugid)\}\}",
    "Q4": _TENANT + r"\(order_by:\{slug:asc\}\)",
    "Q5": _TENANT + r"\(where:\{id:",
    "Q6": r"query\{project\(where:\{name:\{_eq:S\}\}\)\{id\}",
    "Q7": _FLOW + r"\{_and:\{name:\{_eq:S\},project:\{id:",
    "Q8": r"query\{flow_by_pk\(id:S\)\{flow_group_id\}",
    "Q9": _FLOW + ".*serialized_flow",
    "Q10": _FLOW + r"\{name:.*limit:1\)\{id\}",
    "Q11": _FLOW + r".*distinct_on:name\)\{.*archived",
    "Q12": _FLOW + r".*distinct_on:name\)\{tasks\{",
    "Q13": _FLOW + ".*distinct_on:(name|null),limit:",
    "Q14": r"query\{project\(.*flows_aggregate",
    "Q15": r"query\{task\(",
    "Q16": _RUN + r"\{(_and:\{)?flow:.*limit:",
    "Q17": _RUN + r"\{_and:\{name:.*auto_scheduled",
    "Q18": _RUN + r"\{name:.*logs\(",
    "Q19": _BY_PK + r".*project\{",
    "Q20": _BY_PK + r"serialized_state\}",
    "Q21": _BY_PK + r"flow\{settings\}",
    "Q22": _RUN + r"\{id:\{_in:",
    "Q23": _ONE_RUN + r"(version)?flow\{",
    "Q24": _ONE_RUN + r".*states\{",
    "Q25": _ONE_RUN + r"logs\(",
    "Q26": _ONE_RUN + r".*states\(where",
    "Q27": r"query\{task_run\(where:\{state_start_time",
    "Q28": r"query\{task_run\(.*task\{(idslug|slugid)\}",
    "Q29": r"query\{task_run\(where:\{flow_run_id:\{_eq:S\}\}\)\{id\}",
    "Q30": r"query\{task_run\(where:\{state:\{_eq:S\},state_timestamp",
    "Q31": r"query\{agent\{",
    "Q32": r"query\{agent_config\(",
    "Q33": r"query\{get_task_run_info\(",
    "C1": r"query\{auth_info\{tenant_id\}",
    "C2": r"query\{auth_info\{user_id\}",
    "C3": r"query\(\$slug:String\)\{tenant\(",
    "C4": r"query\{auth_api_key\{",
    "C7": r"query\{secret_names\}",
    "C8": r"query\(\$name:String!\)\{secret_value\(",
    "C10": r"query\{task_tag_limit\(",
    "C13": r"query\{key_value\(where:.*\{value\}",
    "C14": r"query\{key_value\(where:.*\{id\}",
    "C15": r"query\{key_value\{key\}",
}
_MUTATIONS = (
    *("create_tenant", "create_project", "delete_project", "create_flow_from_compressed_string", "create_flow"),
    *("register_tasks", "register_edges", "set_schedule_active", "create_flow_run", "set_flow_run_name"),
    *("set_task_run_name", "cancel_flow_run", "set_flow_run_states", "set_task_run_states"),
    *("get_or_create_task_run_info", "update_flow_run_heartbeat", "write_run_logs", "register_agent"),
    *("get_runs_in_queue", "create_task_run_artifact", "update_task_run_artifact", "delete_task_run_artifact"),
)
_CLOUD_MUTATIONS = {
    "create_api_key": "C5",
    "delete_api_key": "C6",
    "set_secret": "C9",
    "update_task_tag_limit": "C11",
    "delete_task_tag_limit": "C12",
    "set_key_value": "C16",
    "delete_key_value": "C17",
}
_MUTATION_NUMBERS = {name: f"M{number}" for number, name in enumerate(_MUTATIONS, 1)} | _CLOUD_MUTATIONS


def shape_of(document):
    """Return the number of an operation (`Q1`, `M1`, `C1`), or None."""
    if mutation := re.match(r"mutation[^{]*\{(\w+)\(", document):
        return _MUTATION_NUMBERS.get(mutation[1])
    text = re.sub(r'"(\\.|[^"\\])*"', "S", document)
    return next((shape for shape, pattern in _QUERIES.items() if re.match(pattern, text)), None)
