"""A small world of rows for tests of the query compiler: once as Python values, once in a database.

The same dictionaries are inserted and handed to the slow evaluator, so both sides start from the same facts.
"""

import json
from typing import Any
from uuid import UUID, uuid5

import asyncpg

Row = dict[str, Any]

_NAMESPACE = UUID("5b3f6e0c-6e86-4c5a-9a51-4d6f5a1c7e11")
OURS = str(uuid5(_NAMESPACE, "tenant ours"))
THEIRS = str(uuid5(_NAMESPACE, "tenant theirs"))


def identity(name: str) -> str:
    """The same id for the same name, in every run of the tests."""
    return str(uuid5(_NAMESPACE, name))


def at(hour: int, fraction: str = "") -> str:
    """A moment of the world's only day, written as answers write it."""
    return f"2026-03-01T{hour:02}:00:00{fraction}+00:00"


def _row(label: str, tenant: str, hour: int = 0, /, **columns: Any) -> Row:
    return {"id": identity(label), "created": at(hour), "updated": at(hour), "tenant_id": tenant, **columns}


def _tenant(tenant: str, slug: str) -> Row:
    return {
        "id": tenant,
        "created": at(0),
        "updated": at(0),
        "name": slug,
        "slug": slug,
        "info": None,
        "settings": {"size": 3},
    }


_STATES = [None, "Scheduled", "Running", "Success", "Failed", "Cancelled", "Submitted"]


def _flow(prefix: str, tenant: str, number: int, project: str, group: str, name: str, version: int) -> Row:
    return _row(
        f"{prefix} flow {number}",
        tenant,
        number,
        project_id=identity(f"{prefix} project {project}"),
        flow_group_id=identity(f"{prefix} group {group}"),
        name=name,
        version=version,
        version_group_id=f"vg-{group}",
        archived=number % 2 == 0,
        description=None if number % 3 else f"number {number}",
        core_version="1.5.0",
        environment=None,
        run_config={"type": "LocalRun", "labels": ["a"]} if number % 2 else None,
        storage={"type": "Local", "flows": {"x": "y"}},
        parameters=[{"name": "x", "default": number}],
        settings={"heartbeat_enabled": number % 2 == 0},
        serialized_flow={"name": name},
        schedule=None,
        is_schedule_active=False,
    )


def _state_columns(state: str | None, hour: int) -> Row:
    return {
        "version": 0 if state is None else hour,
        "start_time": at(hour) if state in {"Running", "Success", "Failed"} else None,
        "end_time": at(hour, ".5") if state in {"Success", "Failed"} else None,
        "state": state,
        "state_timestamp": None if state is None else at(hour, ".25"),
        "state_message": None if state is None else f"now {state}",
        "state_result": None,
        "state_start_time": at(hour) if state == "Scheduled" else None,
        "serialized_state": None if state is None else {"type": state, "message": 'ü "quoted"\n'},
    }


def _flow_run(prefix: str, tenant: str, number: int) -> Row:
    state = _STATES[number % len(_STATES)]
    return _row(
        f"{prefix} run {number}",
        tenant,
        number,
        flow_id=identity(f"{prefix} flow {number % 4 + 1}"),
        name=None if number % 5 == 4 else ["alpha", "beta", "gamma", "delta", "alphabet"][number % 5],
        parameters={"x": number % 3, "deep": {"list": [number, {"y": "z"}]}},
        context={"tag": "c"} if number % 2 else None,
        labels=["a", "b"][: number % 3],
        run_config=None,
        scheduled_start_time=at(number % 6),
        auto_scheduled=number % 4 == 0,
        idempotency_key=f"key {number}",
        agent_id=identity(f"{prefix} agent 1") if number % 2 else None,
        parent_flow_run_id=identity(f"{prefix} run {number - 2}") if number % 4 == 3 else None,
        times_resurrected=0,
        priority=number % 3,
        **_state_columns(state, number % 9 + 1),
    )


def _task_run(prefix: str, tenant: str, number: int) -> Row:
    run = number % 6
    state = _STATES[(number + 1) % len(_STATES)]
    return _row(
        f"{prefix} task run {number}",
        tenant,
        max(run, number % 20),
        flow_run_id=identity(f"{prefix} run {run}"),
        task_id=identity(f"{prefix} task {number % 3}"),
        map_index=number // 6 - 1,
        name=None if number % 2 else f"tr-{number}",
        cache_key=f"cache {number % 2}" if number % 3 else None,
        heartbeat=None,
        **_state_columns(state, number % 7 + 1),
    )


def _tenant_rows(prefix: str, tenant: str) -> dict[str, list[Row]]:
    flows = [
        _flow(prefix, tenant, 1, "one", "g1", "etl", 1),
        _flow(prefix, tenant, 2, "one", "g1", "etl", 2),
        _flow(prefix, tenant, 3, "one", "g2", "report", 1),
        _flow(prefix, tenant, 4, "two", "g3", "etl", 1),
    ]
    tasks = [
        _row(
            f"{prefix} task {number}",
            tenant,
            number,
            flow_id=identity(f"{prefix} flow 1"),
            name=f"task {number}",
            slug=f"task-{number}",
            description=None,
            type="prefect.tasks.core.function.FunctionTask",
            max_retries=number,
            retry_delay="00:01:02" if number else None,
            trigger="prefect.triggers.all_successful",
            mapped=number == 1,
            auto_generated=False,
            cache_key=None,
            is_root_task=False,
            is_terminal_task=False,
            is_reference_task=False,
            tags=["t"],
        )
        for number in range(3)
    ]
    edges = [
        _row(
            f"{prefix} edge {number}",
            tenant,
            flow_id=identity(f"{prefix} flow 1"),
            upstream_task_id=identity(f"{prefix} task {number}"),
            downstream_task_id=identity(f"{prefix} task {number + 1}"),
            key="x" if number else None,
            mapped=False,
        )
        for number in range(2)
    ]
    flow_runs = [_flow_run(prefix, tenant, number) for number in range(14)]
    task_runs = [_task_run(prefix, tenant, number) for number in range(24)]
    histories = [
        _row(
            f"{prefix} state {number}",
            tenant,
            number,
            flow_run_id=flow_runs[number % 3]["id"],
            timestamp=at(number),
            state=["Scheduled", "Running", "Success"][number // 3],
            message=None,
            result=None,
            start_time=at(number) if number < 3 else None,
            serialized_state={"type": "State"},
            version=number // 3 + 1,
        )
        for number in range(9)
    ]
    task_histories = [
        _row(
            f"{prefix} task state {number}",
            tenant,
            number,
            task_run_id=task_runs[number % 3]["id"],
            flow_run_id=task_runs[number % 3]["flow_run_id"],
            timestamp=at(number),
            state="Running",
            message=None,
            result=None,
            start_time=None,
            serialized_state={"type": "Running"},
            version=number // 3 + 1,
        )
        for number in range(6)
    ]
    logs = [
        _row(
            f"{prefix} log {number}",
            tenant,
            20,
            flow_run_id=flow_runs[number % 4]["id"],
            task_run_id=task_runs[number]["id"] if number % 2 else None,
            timestamp=at(number % 5),
            name="prefect",
            level=["INFO", "ERROR"][number % 2],
            message=f"line {number} \U0001f600",
            info={"n": number},
            is_loaded_from_archive=False,
        )
        for number in range(12)
    ]
    return {
        "project": [
            _row(f"{prefix} project one", tenant, 1, name="one", description=None, retention=[]),
            _row(
                f"{prefix} project two",
                tenant,
                2,
                name="two",
                description="second",
                retention=[{"state": "Failed", "logs_days": 9}],
            ),
        ],
        "flow_group": [
            _row(
                f"{prefix} group {name}",
                tenant,
                name=f"vg-{name}",
                description=None,
                labels=labels,
                schedule=None,
                settings={},
                default_parameters={},
                run_config=None,
                concurrency_limit=None,
            )
            for name, labels in (("g1", None), ("g2", ["a"]), ("g3", []))
        ],
        "flow": flows,
        "task": tasks,
        "edge": edges,
        "agent_config": [_row(f"{prefix} config", tenant, name="k8s", settings={"job": 1})],
        "agent": [
            _row(
                f"{prefix} agent 1",
                tenant,
                agent_config_id=identity(f"{prefix} config"),
                name="agent",
                type="LocalAgent",
                core_version="1.5.0",
                labels=["a"],
                last_queried=at(3),
            )
        ],
        "flow_run": flow_runs,
        "flow_run_state": histories,
        "task_run": task_runs,
        "task_run_state": task_histories,
        "task_run_artifact": [
            _row(f"{prefix} artifact", tenant, task_run_id=task_runs[0]["id"], kind="link", data={"link": "http://x"})
        ],
        "log": logs,
        "cloud_hook": [
            _row(
                f"{prefix} hook",
                tenant,
                name="hook",
                type="WEBHOOK",
                states=["FAILED"],
                config={"url": "http://x"},
                active=True,
                version_group_id=None,
            )
        ],
        "cloud_hook_delivery": [
            _row(
                f"{prefix} delivery {number}",
                tenant,
                number,
                cloud_hook_id=identity(f"{prefix} hook"),
                flow_run_id=identity(f"{prefix} run {number * 9}"),
                event_id=histories[number]["id"],
                state=state,
                attempts=number,
                next_attempt=at(9) if state == "Waiting" else None,
                last_attempt=at(number) if number else None,
                last_error="no answer" if state == "Dead" else None,
            )
            for number, state in enumerate(("Waiting", "Delivered", "Dead"))
        ],
        "message": [_row(f"{prefix} message", tenant, read=False, type="note", text="hi", content={})],
        "key_value": [
            _row(f"{prefix} pair {n}", tenant, n, key=f"key {n}", value=value)
            for n, value in enumerate(({"a": [1]}, "text", 7))
        ],
        "task_tag_limit": [_row(f"{prefix} tag", tenant, tag="db", limit=3)],
        "flow_concurrency_limit": [_row(f"{prefix} label", tenant, name="gpu", limit=0)],
        "auth_api_key": [_row(f"{prefix} key", tenant, user_id=None, name="ci", expires_at=at(5))],
    }


WORLD: dict[str, list[Row]] = {"tenant": [_tenant(OURS, "ours"), _tenant(THEIRS, "theirs")]}
"""All rows by table, those that tables refer to first."""
for _prefix, _id in (("ours", OURS), ("theirs", THEIRS)):
    for _name, _rows in _tenant_rows(_prefix, _id).items():
        WORLD.setdefault(_name, []).extend(_rows)


def our_rows(table: str) -> list[Row]:
    """The rows of one table that our tenant sees."""
    key = "id" if table == "tenant" else "tenant_id"
    return [row for row in WORLD[table] if row[key] == OURS]


async def insert_world(dsn: str) -> None:
    """Store the whole world in a migrated database."""
    connection = await asyncpg.connect(dsn)
    try:
        # triggers would stamp rows and build the queue; these rows stand for themselves
        await connection.execute("set session_replication_role = replica")
        for table, rows in WORLD.items():
            extra, source = "", ""
            if table == "flow_run":
                await connection.execute(
                    "insert into label_set (tenant_id, labels) values ($1, '{}'), ($2, '{}')", UUID(OURS), UUID(THEIRS)
                )
                extra, source = ", label_set_id", ", (select l.id from label_set l where l.tenant_id = r.tenant_id)"
            if table == "cloud_hook_delivery":
                extra, source = ", seq", ", 1"
            if table == "auth_api_key":
                extra, source = ", key_hash", ", sha256(convert_to(r.id::text, 'UTF8'))"
            names = ", ".join(f'"{name}"' for name in rows[0])
            await connection.execute(
                f"insert into {table} ({names}{extra}) "
                f"select {names}{source} from jsonb_populate_recordset(null::{table}, $1::text::jsonb) as r",
                json.dumps(rows),
            )
        beats = [(UUID(row["id"]), row["created"]) for row in WORLD["flow_run"][:3]]
        await connection.executemany(
            "insert into flow_run_heartbeat (flow_run_id, heartbeat) values ($1, $2::text::timestamptz)", beats
        )
        await connection.execute("analyze")
    finally:
        await connection.close()
