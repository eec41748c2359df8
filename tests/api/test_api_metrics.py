"""`GET /metrics`: the format, the figures of services and queue, and that it tells nothing about a tenant."""

import re
from datetime import UTC, datetime, timedelta

import httpx
from api_world import running_api
from seeds import seed, serialized_flow, stranger

from flowstead_server.db import Database
from flowstead_server.domain.ids import new_id
from flowstead_server.domain.scheduling import SchedulingRules
from flowstead_server.orchestration.flow_runs import CreateFlowRun, create_flow_run
from flowstead_server.orchestration.flows import CreateFlow, create_flow
from flowstead_server.orchestration.projects import CreateProject, create_project
from flowstead_server.services.log_batches import LogBatches
from flowstead_server.services.scheduler import Scheduler

SAMPLE = re.compile(r'^(flowstead_\w+)(\{(?:\w+="(?:[^"\\\n]|\\.)*",?)*\})? (-?[\d.e+-]+)$')


def samples(answer: httpx.Response) -> dict[str, float]:
    """Return the value of each sample, by its name with labels; the format is checked."""
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.text.endswith("\n")
    found: dict[str, float] = {}
    described: set[str] = set()
    for line in answer.text.splitlines():
        if line.startswith("# "):
            described.add(line.split(" ")[2])
            continue
        match = SAMPLE.match(line)
        assert match, line
        assert match[1] in described
        name = match[1] + (match[2] or "")
        assert name not in found
        found[name] = float(match[3])
    return found


async def test_figures_of_the_process_its_services_and_the_queue(database: Database) -> None:
    seeded = await seed(database)
    other = await stranger(database)
    project = await create_project(database, other, CreateProject("secret project"))
    secret = await create_flow(database, other, CreateFlow(serialized_flow("secret flow"), project))
    now = datetime.now(UTC)
    await create_flow_run(database, other, CreateFlowRun(secret, scheduled_start_time=now - timedelta(hours=1)))
    await seeded.run(scheduled_start_time=now + timedelta(hours=1))
    await database.execute(
        "insert into log_batch (batch_id, tenant_id, created) values ($1, $2, now() - interval '2 hours')",
        new_id(),
        other.tenant_id,
    )
    services = [LogBatches(database), Scheduler(database, SchedulingRules())]
    for service in services:
        service.first_wait = 0.0
    async with running_api(database, services) as api:
        await api.data("{ hello }")
        await api.errors("{ nothing }")
        answer = await api.http.get("/metrics")
        before = samples(answer)
        for service in services:
            service.figures.add(await service.run_once())
        async with api.socket() as socket:
            await socket.init()
            after = samples(await api.http.get("/metrics"))
    assert before['flowstead_info{version="9.9.9"}'] == 1
    assert before["flowstead_database_up"] == 1
    assert before['flowstead_http_requests_total{kind="graphql"}'] == 2
    assert before["flowstead_graphql_errors_total"] == 1
    assert (before["flowstead_websocket_connections"], after["flowstead_websocket_connections"]) == (0, 1)
    assert before['flowstead_flow_runs{state="waiting"}'] == 2
    assert before['flowstead_flow_runs{state="due"}'] == 1
    assert 3600 <= before["flowstead_flow_runs_oldest_due_seconds"] < 3700
    assert before['flowstead_service_rounds_total{service="scheduler"}'] == 0
    assert before['flowstead_service_oldest_work_seconds{service="scheduler"}'] == 0
    assert after['flowstead_service_counts_total{service="log_batches",count="batches"}'] == 1
    assert before['flowstead_database_connections{pool="write",state="used"}'] >= 0
    for name in ("secret", "project", str(other.tenant_id), str(secret)):
        assert name not in answer.text


async def test_without_a_database_the_rest_is_answered(database: Database) -> None:
    async with running_api(database) as api:
        await database.close()
        found = samples(await api.http.get("/metrics"))
    assert found["flowstead_database_up"] == 0
    assert "flowstead_subscriptions" in found
    assert not any(name.startswith("flowstead_flow_runs") for name in found)
