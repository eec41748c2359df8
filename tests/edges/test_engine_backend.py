"""§27: the engine under a real API: reported states, values across processes, cancellation, fencing, load failures."""

import threading
import uuid
from datetime import timedelta

import pytest
from engine_fixtures import Answer

import prefect
from prefect import Flow, Parameter, task, unmapped
from prefect.engine import signals
from prefect.engine.cloud import CloudFlowRunner
from prefect.engine.execute import execute_flow_run
from prefect.engine.results import LocalResult
from prefect.engine.state import Cancelled, Retrying
from prefect.storage import Local
from prefect.utilities.configuration import set_temporary_config


@task
def inc(x, by=1):
    return x + by


def test_every_change_of_state_is_reported(create, run):
    @task(max_retries=1, retry_delay=timedelta(0))
    def flaky():
        prefect.context.logger.info("attempt %s", prefect.context.task_run_count)
        if prefect.context.task_run_count == 1:
            raise ValueError("first")
        return 1

    with Flow("reported") as flow:
        p = Parameter("p", default=1)
        m = inc.map([1, 2], by=unmapped(p))
        f = flaky()
    end, answer = run(flow, create(flow, parameters={"p": 10}))
    assert end.is_successful()
    assert end.result[m].result == [11, 12]
    assert answer.states == ["Scheduled", "Running", "Success"]
    assert answer.history("inc-1") == ["Pending", "Mapped"]
    assert answer.history("inc-1", 1) == ["Pending", "Running", "Success"]
    assert answer.history("flaky-1") == ["Pending", "Running", "Failed", "Retrying", "Running", "Success"]
    assert answer.history("p") == ["Pending", "Running", "Success"]
    assert answer.run.heartbeat is not None
    assert "attempt 1" in answer.lines
    assert "attempt 2" in answer.lines
    assert answer.lines[0] == "Beginning Flow run for 'reported'"
    assert answer.lines[-1] == "Flow run SUCCESS: all reference tasks succeeded"
    assert f in end.result


def test_failures_and_messages_arrive(create, run):
    @task
    def fail():
        raise ValueError("broken")

    with Flow("failing") as flow:
        inc(fail())
    _, answer = run(flow, create(flow))
    assert (answer.run.state, answer.run.state_message) == ("Failed", "Some reference tasks failed.")
    assert answer.tasks["fail-1", -1].state_message == "Error during execution of task: ValueError('broken')"
    assert answer.tasks["inc-1", -1].state == "TriggerFailed"
    assert any("Traceback" in line and "ValueError: broken" in line for line in answer.lines)


def test_context_comes_from_the_api(create, run):
    seen = {}

    @task
    def look():
        seen.update(prefect.context)

    with Flow("looking") as flow:
        look()
    run_id = create(flow, context={"mine": 5}, run_name="named")
    run(flow, run_id)
    assert (seen["mine"], seen["flow_run_id"], seen["flow_run_name"]) == (5, run_id, "named")
    assert seen["project_name"] == "engine"
    assert seen["checkpointing"] is True
    assert seen["running_with_backend"] is True
    assert uuid.UUID(seen["task_run_id"])
    assert seen["scheduled_start_time"].timezone_name in {"UTC", "+00:00"}


def test_a_later_process_goes_on_with_the_values_of_an_earlier_one(create, run, client, tmp_path):
    ran = []

    @task
    def source():
        ran.append("source")
        return [1, 2]

    @task(max_retries=1, retry_delay=timedelta(hours=1))
    def later():
        if prefect.context.task_run_count == 1:
            raise ValueError("not yet")
        return 5

    @task
    def total(xs, extra):
        return sum(xs) + extra

    with Flow("two processes", result=LocalResult(str(tmp_path))) as flow:
        m = inc.map(source())
        t = total(m, later())
    run_id = create(flow)
    first, answer = run(flow, run_id)
    assert first.is_running()
    assert answer.tasks["later-1", -1].state == "Retrying"
    client.set_task_run_state(answer.tasks["later-1", -1].id, Retrying(run_count=1))
    second, answer = run(flow, run_id)
    assert second.result[t].result == 2 + 3 + 5
    assert ran == ["source"]
    assert answer.history("inc-1", 0) == ["Pending", "Running", "Success"]


def test_a_later_process_goes_on_in_the_loop(create, run, client, tmp_path):
    @task(max_retries=1, retry_delay=timedelta(hours=1))
    def loop():
        count = prefect.context.get("task_loop_count", 1)
        if count < 3:
            raise signals.LOOP(result=count * 10)
        if prefect.context.task_run_count == 1:
            raise ValueError("not yet")
        return prefect.context.task_loop_result + count

    with Flow("loops", result=LocalResult(str(tmp_path))) as flow:
        t = loop()
    run_id = create(flow)
    _, answer = run(flow, run_id)
    task_run = answer.tasks["loop-1", -1]
    waiting = client.get_task_run_state(task_run.id)
    waiting.start_time = waiting.start_time.subtract(hours=2)
    client.set_task_run_state(task_run.id, waiting)
    end, _ = run(flow, run_id)
    assert end.result[t].result == 23


def test_cancelling_interrupts_the_tasks(create, run, client):
    reached = threading.Event()

    @task
    def wait():
        reached.set()
        client.cancel_flow_run(prefect.context.flow_run_id)
        threading.Event().wait(60)

    with Flow("cancelled") as flow:
        inc(1, upstream_tasks=[wait()])
    end, answer = run(flow, create(flow))
    assert reached.is_set()
    assert isinstance(end, Cancelled)
    assert answer.states == ["Scheduled", "Running", "Cancelling", "Cancelled"]
    assert "Flow run has been cancelled, cancelling active tasks" in answer.lines
    assert "Running" not in answer.history("inc-1")


def test_an_interrupt_that_is_no_cancellation_is_passed_on(create):
    @task
    def interrupt():
        raise KeyboardInterrupt

    with Flow("interrupted") as flow:
        interrupt()
    run_id = create(flow)
    with pytest.raises(KeyboardInterrupt), prefect.context(flow_run_id=run_id):
        CloudFlowRunner(flow).run()


def test_a_process_without_the_claim_runs_nothing(create, run, client):
    ran = []

    @task
    def mark():
        ran.append(1)

    with Flow("fenced") as flow:
        mark()
    run_id = create(flow)
    end, _ = run(flow, run_id, claim_token=str(uuid.uuid4()))
    assert ran == []
    assert end.is_scheduled()
    assert client.get_flow_run_state(run_id).is_scheduled()


def test_a_finished_run_is_left_alone(create, run):
    with Flow("finished") as flow:
        inc(1)
    run_id = create(flow)
    run(flow, run_id)
    _, answer = run(flow, run_id)
    assert answer.states == ["Scheduled", "Running", "Success"]
    assert answer.lines[-1] == "Flow run has already finished."


def test_a_changed_flow_fails_with_the_reason(create, run):
    with Flow("changed") as flow:
        inc(inc(1))
    run_id = create(flow)
    with Flow("changed") as other:
        inc(1)
    _, answer = run(other, run_id)
    assert answer.run.state == "Failed"
    assert "Task slug inc-2 is not found in the current Flow." in answer.run.state_message


def test_handlers_that_fail_are_reported(create, run):
    def bad(obj, old, new):
        if new.is_successful():
            raise RuntimeError("handler")

    with Flow("handled") as flow:
        task(lambda: 1, name="t", state_handlers=[bad])()
    _, answer = run(flow, create(flow))
    message = "Exception raised while calling state handlers: RuntimeError('handler')"
    assert answer.tasks["t-1", -1].state_message == message
    assert answer.run.state == "Failed"


def test_execute_runs_the_flow_from_its_storage(create, client, tmp_path):
    path = tmp_path / "flow.py"
    path.write_text(
        "from prefect import Flow, task\n@task\ndef hi():\n    return 1\nwith Flow('stored') as flow:\n    hi()\n"
    )
    flow = prefect.utilities.storage.extract_flow_from_file(str(path))
    flow.storage = Local(path=str(path), stored_as_script=True)
    run_id = create(flow, build=True)
    with prefect.context(flow_run_id=run_id):
        assert execute_flow_run() == 0
    assert Answer(client, run_id).run.state == "Success"


def test_execute_reports_what_cannot_be_loaded(create, client, tmp_path, capsys):
    path = tmp_path / "flow.py"
    with Flow("lost") as flow:
        inc(1)
    flow.storage = Local(path=str(path), stored_as_script=True)
    run_id = create(flow, build=True)
    with prefect.context(flow_run_id=run_id):
        assert execute_flow_run() == 1
    answer = Answer(client, run_id)
    assert answer.run.state == "Failed"
    assert answer.run.state_message.startswith("Failed to load and execute flow run: FlowStorageError(")
    [line] = answer.lines
    assert line.startswith(f"{answer.run.state_message}\nTraceback (most recent call last):")
    assert "is no file on this machine" in capsys.readouterr().err


def test_execute_without_a_run(api, capsys):
    assert execute_flow_run() == 1
    unknown = str(uuid.uuid4())
    with prefect.context(flow_run_id=unknown):
        assert execute_flow_run() == 1
    out = capsys.readouterr().out
    assert "Not currently executing a flow within a Cloud context." in out
    assert f"Flow run {unknown} not found" in out


def test_a_flow_that_a_task_runs_is_part_of_that_task(create, run):
    """Its runner is a local one, and its lines are in the log of the task."""

    @task
    def outer():
        with Flow("inner") as inner:
            one, two = (task(lambda: prefect.context.task_run_id, name=name)() for name in "ab")
        state = inner.run()
        return [state.result[one].result, state.result[two].result, prefect.context.task_run_id]

    with Flow("outer") as flow:
        ran = outer()
    with set_temporary_config({"engine.flow_runner.default_class": "prefect.engine.cloud.CloudFlowRunner"}):
        end, answer = run(flow, create(flow))
    assert len(set(end.result[ran].result)) == 3
    assert "Beginning Flow run for 'inner'" in answer.lines
    assert "Task 'a': Finished task run for task with final state: 'Success'" in answer.lines
    assert answer.lines[-1] == "Flow run SUCCESS: all reference tasks succeeded"
