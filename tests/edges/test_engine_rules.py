"""What runs under a backend do when others interfere or things fail (library-api §27.2–§27.8)."""

import threading
import time
import uuid
from concurrent.futures import Future
from datetime import timedelta

import psutil
import pytest
from engine_fixtures import Answer

import prefect
from prefect import Flow, task
from prefect.client.plain_http import PlainExchange
from prefect.engine import cache_validators
from prefect.engine.cloud import CloudFlowRunner
from prefect.engine.results import LocalResult
from prefect.engine.state import Failed, Retrying, Running, Success
from prefect.utilities.configuration import set_temporary_config
from prefect.utilities.logging import LOG_MANAGER


@task
def one():
    return 1


@task
def inc(x):
    return x + 1


@pytest.fixture
def answers(monkeypatch):
    """Answers to be given, by the names of operations, instead of the server's; for what it does not do by itself."""
    prepared = {}
    send = PlainExchange.send

    def answer(self, request, headers):
        waiting = prepared.get(request.operation_name)
        return waiting.pop(0) if waiting else send(self, request, headers)

    monkeypatch.setattr(PlainExchange, "send", answer)
    return prepared


def debug_lines(caplog):
    return [record.getMessage() for record in caplog.records]


# -- §27.2, §27.5: versions ------------------------------------------------------------------------------------------


@pytest.fixture
def locked(create, client):
    """Register a flow with version locks, and return a run of it and what its process knew before others came."""

    def locked(flow):
        run_id = create(flow)
        client.graphql(
            "mutation($id: UUID!) { enable_flow_version_lock(input: {flow_id: $id}) { success } }",
            variables={"id": client.get_flow_run_info(run_id).flow_id},
        )
        known = Future()
        known.set_result(client.get_flow_run_info(run_id))
        return run_id, known

    return locked


def start(flow, run_id, known):
    runner = CloudFlowRunner(flow)
    runner.expect_info(known)
    with prefect.context(flow_run_id=run_id), set_temporary_config({"logging.level": "DEBUG"}):
        return runner.run(return_tasks=flow.tasks)


def test_a_flow_run_that_another_process_runs_is_left_to_it(locked, client, caplog):
    ran = []
    with Flow("locked flow") as flow:
        task(lambda: ran.append(1), name="mark")()
    run_id, known = locked(flow)
    client.set_flow_run_state(run_id, Running(), version=known.result().version)
    caplog.set_level("DEBUG", "prefect")
    assert start(flow, run_id, known).is_running()
    assert ran == []
    assert "Version lock encountered and flow is already in a running state." in debug_lines(caplog)


def test_a_task_run_that_another_process_runs_is_left_to_it(locked, client, caplog):
    ran = []
    with Flow("locked task") as flow:
        task(lambda: ran.append(1), name="mark")()
    run_id, known = locked(flow)
    [task_run] = known.result().task_runs
    client.set_flow_run_state(run_id, Running(), version=known.result().version)
    client.set_task_run_state(task_run.id, Running(), version=task_run.version)
    caplog.set_level("DEBUG", "prefect")
    known.result().state.__class__ = Running
    assert start(flow, run_id, known).is_running()
    assert ran == []
    assert "Version lock encountered and task mark is already in a running state." in debug_lines(caplog)


def test_a_task_run_that_ended_elsewhere_goes_on_with_its_state(locked, client, caplog, tmp_path):
    result = LocalResult(str(tmp_path))
    with Flow("locked value", result=result) as flow:
        total = inc(one())
    run_id, known = locked(flow)
    task_run = next(item for item in known.result().task_runs if item.task_slug == "one-1")
    client.set_task_run_state(task_run.id, Success(result=result.write(41)))
    caplog.set_level("DEBUG", "prefect")
    assert start(flow, run_id, known).result[total].result == 42
    assert "Version lock encountered for task one, proceeding with state Success..." in debug_lines(caplog)


# -- §27.2.6, §27.6: queues ------------------------------------------------------------------------------------------


def test_runs_wait_while_the_api_queues_them(create, run, answers, caplog):
    with Flow("queued") as flow:
        one()
    run_id = create(flow)
    answers["set_flow_run_states"] = [_queued("set_flow_run_states")]
    answers["set_task_run_states"] = [_queued("set_task_run_states")]
    caplog.set_level("DEBUG", "prefect")
    with set_temporary_config({"cloud.queue_interval": 0.5}):
        end, answer = run(flow, run_id)
    # Both wait only until the API says that they need not.
    assert end.is_successful()
    assert answer.states == ["Scheduled", "Running", "Success"]
    assert answer.history("one-1") == ["Pending", "Running", "Success"]
    assert any(
        line.startswith("Flow run is in a Queued state. Sleeping for at most 0.") for line in debug_lines(caplog)
    )


def _queued(operation):
    member = {"id": str(uuid.uuid4()), "status": "QUEUED", "message": "no place", "code": None}
    return {"data": {operation: {"states": [member]}}}


# -- §27.2.1, §27.5: an API that cannot be asked ---------------------------------------------------------------------


def test_a_run_that_cannot_be_read_does_not_begin(api, caplog):
    with Flow("unknown") as flow:
        one()
    with prefect.context(flow_run_id=str(uuid.uuid4())):
        end = CloudFlowRunner(flow).run()
    assert isinstance(end, Failed)
    assert end.message == "Could not retrieve state from Prefect Cloud"
    assert "Failed to retrieve flow state with error: ObjectNotFoundError" in caplog.text


def test_a_run_that_cannot_be_understood_fails(create, client, monkeypatch):
    """Left as it is, it would be started again and again, with the same end."""
    with Flow("strange") as flow:
        one()
    flow_run_id = create(flow)

    def misunderstand(_client, _flow_run_id):
        raise AttributeError("no such thing")

    monkeypatch.setattr(prefect.Client, "get_flow_run_info", misunderstand)
    with prefect.context(flow_run_id=flow_run_id):
        CloudFlowRunner(flow).run()
    state = client.get_flow_run_state(flow_run_id)
    assert isinstance(state, Failed)
    assert state.message == "Unexpected error while running flow: AttributeError('no such thing')"


# -- §27.8: caching --------------------------------------------------------------------------------------------------


def test_cached_states_are_found_by_query(create, run, client, tmp_path, caplog):
    ran = []

    @task(cache_for=timedelta(hours=1), cache_validator=cache_validators.all_inputs, cache_key=f"key-{uuid.uuid4()}")
    def slow(x):
        ran.append(x)
        return x * 2

    def flow_of(x):
        with Flow("caching", result=LocalResult(str(tmp_path))) as flow:
            flow.value = slow(x)
        return flow

    results = []
    for x in (1, 1, 2):
        flow = flow_of(x)
        end, answer = run(flow, create(flow))
        results.append((end.result[flow.value].result, answer.history("slow-1")[-2:]))
    assert ran == [1, 2]
    assert results == [(2, ["Success", "Cached"]), (2, ["Pending", "Cached"]), (4, ["Success", "Cached"])]
    for path in tmp_path.iterdir():
        path.unlink()
    caplog.clear()
    flow = flow_of(2)
    end, _ = run(flow, create(flow))
    assert end.result[flow.value].result == 4
    assert ran == [1, 2, 2]
    assert any(line.startswith("Failed to load cached state data from ") for line in debug_lines(caplog))


# -- §27.4: heartbeats -----------------------------------------------------------------------------------------------


def test_no_heartbeats_where_they_are_switched_off(create, run, client, monkeypatch):
    with Flow("unbeaten") as flow:
        one()
    beats = []
    monkeypatch.setattr(type(client), "update_flow_run_heartbeat", lambda self, run_id: beats.append(run_id))
    with set_temporary_config({"cloud.heartbeat_mode": "off"}):
        run(flow, create(flow))
    run_id = create(flow)
    client.graphql(
        "mutation($id: UUID!) { disable_flow_heartbeat(input: {flow_id: $id}) { success } }",
        variables={"id": client.get_flow_run_info(run_id).flow_id},
    )
    run(flow, run_id)
    assert beats == []


def test_a_heartbeat_process_that_dies_is_replaced_by_a_thread(create, run):
    @task
    def kill():
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            for child in psutil.Process().children():
                if "watchdog.py" in " ".join(child.cmdline()):
                    child.kill()
                    return LOG.wait(20)
            time.sleep(0.02)
        return False

    LOG = threading.Event()

    class Watch:
        def filter(self, record):
            if record.getMessage() == "Heartbeat process died with exit code -9":
                LOG.set()
            return True

    watch = Watch()
    logger = prefect.utilities.logging.get_logger("CloudFlowRunner")
    logger.addFilter(watch)
    try:
        with Flow("beaten") as flow:
            killed = kill()
        with set_temporary_config({"cloud.heartbeat_mode": "process", "cloud.heartbeat_interval": 0.1}):
            end, answer = run(flow, create(flow))
    finally:
        logger.removeFilter(watch)
    assert end.result[killed].result is True
    assert "Heartbeat process died with exit code -9" in answer.lines


# -- crashes around a task -------------------------------------------------------------------------------------------


def test_a_handler_that_fails_hides_no_failure(create, run):
    def bad(obj, old, new):
        if new.is_failed():
            raise RuntimeError("handler")

    @task(state_handlers=[bad])
    def fail():
        raise ValueError("the task's own")

    with Flow("handled failure") as flow:
        fail()
    _, answer = run(flow, create(flow))
    assert answer.run.state == "Failed"
    message = "Exception raised while calling state handlers: RuntimeError('handler')"
    assert answer.tasks["fail-1", -1].state_message == message
    own = 'it was <Failed: "Error during execution of task: ValueError("the task\'s own")">'
    assert any(line.endswith(own) for line in answer.lines), answer.lines
    assert any("ValueError: the task's own" in line and "Traceback" in line for line in answer.lines)


class FullDisk(LocalResult):
    def write(self, value_, **kwargs):
        raise OSError(28, "No space left on device")


def test_a_result_that_cannot_be_written_fails_its_task_alone(create, run, tmp_path):
    with Flow("full disk", result=LocalResult(str(tmp_path))) as flow:
        unwritten = one.copy(result=FullDisk(str(tmp_path)))()
        other = inc(1)
        inc(unwritten)
    end, answer = run(flow, create(flow))
    assert answer.run.state == "Failed"
    assert end.result[other].result == 2
    assert answer.history("one-1") == ["Pending", "Running", "Failed"]
    assert "No space left on device" in answer.tasks["one-1", -1].state_message
    assert answer.tasks["inc-2", -1].state == "TriggerFailed" or answer.tasks["inc-1", -1].state == "TriggerFailed"


def test_a_value_that_is_lost_fails_the_task_that_needs_it(create, run, client, tmp_path):
    @task(max_retries=1, retry_delay=timedelta(hours=1))
    def later():
        if prefect.context.task_run_count == 1:
            raise ValueError("not yet")
        return 1

    with Flow("lost value", result=LocalResult(str(tmp_path))) as flow:
        inc(one(), upstream_tasks=[later()])
    run_id = create(flow)
    first, answer = run(flow, run_id)
    assert first.is_running()
    for path in tmp_path.iterdir():
        path.unlink()
    client.set_task_run_state(answer.tasks["later-1", -1].id, Retrying(run_count=1))
    _, answer = run(flow, run_id)
    assert answer.run.state == "Failed"
    assert answer.tasks["inc-1", -1].state_message.startswith("Failed to retrieve task results: ")


@pytest.mark.filterwarnings("ignore:Failed to write logs")
def test_logs_that_cannot_be_uploaded_change_no_outcome(create, client, answers):
    with Flow("no logs") as flow:
        inc(one())
    run_id = create(flow)
    refusal = {"data": {"write_run_logs": None}, "errors": [{"message": "no", "extensions": {"code": "NO"}}]}
    answers["write_run_logs"] = [refusal] * 3
    with prefect.context(flow_run_id=run_id):
        end = CloudFlowRunner(flow).run()
    assert end.is_successful()
    assert client.get_flow_run_state(run_id).is_successful()
    answers.clear()
    assert LOG_MANAGER.flush(20)
    assert "Beginning Flow run for 'no logs'" in Answer(client, run_id).lines
