"""A restarted flow run under the engine: what succeeded does not run again, and every value is there."""

from datetime import timedelta

import pytest

import prefect
from prefect import Flow, resource_manager, task
from prefect.backend import FlowRunView
from prefect.engine.result import Result
from prefect.engine.results import LocalResult
from prefect.engine.state import Retrying
from prefect.exceptions import ClientError
from prefect.tasks.secrets import EnvVarSecret


class Journal:
    """What ran, and what shall fail."""

    def __init__(self):
        self.ran = []
        self.broken = set()

    def note(self, name):
        self.ran.append(name)
        if name in self.broken:
            raise ValueError(f"{name} is broken")

    def taken(self):
        ran, self.ran = self.ran, []
        return ran


@pytest.fixture
def journal():
    return Journal()


def five_tasks(journal, **members):
    @task
    def extract():
        journal.note("extract")
        return [1, 2, 3]

    @task
    def clean(rows):
        journal.note("clean")
        return [row * 10 for row in rows]

    @task
    def load(rows):
        journal.note("load")
        return sum(rows)

    @task
    def report(total):
        journal.note("report")
        return f"total {total}"

    @task
    def aside():
        journal.note("aside")

    with Flow("five", **members) as flow:
        end = report(load(clean(extract())))
        aside()
    return flow, end


def test_only_what_did_not_succeed_runs_again(create, run, client, journal, tmp_path):
    flow, end = five_tasks(journal, result=LocalResult(str(tmp_path)))
    journal.broken = {"load"}
    run_id = create(flow)
    run(flow, run_id)
    assert sorted(journal.taken()) == ["aside", "clean", "extract", "load"]
    journal.broken = set()
    answer = client.restart_flow_run(run_id)
    assert {(again.task_slug, again.reason) for again in answer.again} == {
        ("load-1", "FAILED"),
        ("report-1", "UNFINISHED"),
    }
    assert answer.kept == 3
    state, answer = run(flow, run_id)
    assert state.is_successful()
    assert state.result[end].result == "total 60"
    assert journal.taken() == ["load", "report"]
    assert answer.history("load-1") == ["Pending", "Running", "Failed", "Pending", "Running", "Success"]
    assert answer.history("clean-1") == ["Pending", "Running", "Success"]
    assert answer.states == ["Scheduled", "Running", "Failed", "Scheduled", "Running", "Success"]
    with pytest.raises(ClientError, match="has succeeded, so nothing of it has to run again"):
        client.restart_flow_run(run_id)


def test_without_stored_results_what_is_needed_runs_again_too(create, run, client, journal):
    flow, end = five_tasks(journal, result=Result())
    journal.broken = {"load"}
    run_id = create(flow)
    run(flow, run_id)
    journal.taken()
    journal.broken = set()
    answer = client.restart_flow_run(run_id, dry_run=True)
    assert {again.task_slug for again in answer.again if again.reason == "RESULT_MISSING"} == {"extract-1", "clean-1"}
    view = FlowRunView.from_flow_run_id(run_id).restart()
    assert view.state.is_scheduled()
    state, _ = run(flow, run_id)
    assert state.result[end].result == "total 60"
    assert journal.taken() == ["extract", "clean", "load", "report"]


def test_of_a_mapped_task_the_failed_children_run_again(create, run, client, journal, tmp_path):
    @task
    def numbers():
        journal.note("numbers")
        return [1, 2, 3]

    @task
    def double(x):
        journal.note(f"double {x}")
        return x * 2

    @task
    def shown(x):
        journal.note(f"shown {x}")
        return x + 1

    @task
    def total(xs):
        return sum(xs)

    with Flow("mapped", result=LocalResult(str(tmp_path))) as flow:
        end = total(shown.map(double.map(numbers())))
    journal.broken = {"double 2", "shown 6"}
    run_id = create(flow)
    run(flow, run_id)
    journal.taken()
    journal.broken = set()
    again = client.restart_flow_run(run_id).again
    assert {(item.task_name, item.map_index) for item in again} == {
        ("double", 1),
        ("shown", 1),
        ("shown", 2),
        ("total", -1),
    }
    state, answer = run(flow, run_id)
    assert state.result[end].result == 3 + 5 + 7
    assert journal.taken() == ["double 2", "shown 4", "shown 6"]
    assert answer.history("double-1") == ["Pending", "Mapped"]


def test_a_list_that_is_not_stored_is_made_anew_with_its_children(create, run, client, journal, tmp_path):
    lists = [[1, 2, 3], [5, 6]]

    @task(checkpoint=False)
    def numbers():
        return lists.pop(0)

    @task
    def double(x):
        journal.note(f"double {x}")
        return x * 2

    @task
    def other():
        journal.note("other")

    with Flow("list", result=LocalResult(str(tmp_path))) as flow:
        m = double.map(numbers())
        other()
    journal.broken = {"other"}
    run_id = create(flow)
    run(flow, run_id)
    journal.taken()
    # nobody needs the list
    answer = client.restart_flow_run(run_id)
    assert [again.task_name for again in answer.again] == ["other"]
    run(flow, run_id)
    assert journal.taken() == ["other"]
    # now a child does
    journal.broken = {"double 6"}
    client.restart_flow_run(run_id, tasks=["double"])
    state, _ = run(flow, run_id)
    assert state.is_failed()
    assert journal.taken() == ["double 5", "double 6", "other"]
    assert [child.is_successful() for child in state.result[m].map_states] == [True, False]


def test_a_stored_result_that_is_gone_is_named_and_can_be_made_anew(create, run, client, journal, tmp_path):
    flow, end = five_tasks(journal, result=LocalResult(str(tmp_path)))
    journal.broken = {"load"}
    run_id = create(flow)
    run(flow, run_id)
    journal.broken = set()
    for path in tmp_path.iterdir():
        path.unlink()
    client.restart_flow_run(run_id)
    journal.taken()
    _, answer = run(flow, run_id)
    message = answer.tasks["load-1", -1].state_message
    assert message.startswith("Failed to retrieve task results: ")
    assert f"prefect run --restart {run_id} --again 'clean'" in message
    client.restart_flow_run(run_id, tasks=["clean", "extract"])
    state, _ = run(flow, run_id)
    assert state.result[end].result == "total 60"
    assert journal.taken() == ["extract", "clean", "load", "report"]


def test_a_stored_list_that_is_gone_fails_the_children_that_need_it(create, run, client, journal, tmp_path):
    @task
    def numbers():
        return [1, 2]

    @task
    def double(x):
        journal.note(f"double {x}")

    with Flow("gone", result=LocalResult(str(tmp_path))) as flow:
        double.map(numbers())
    journal.broken = {"double 2"}
    run_id = create(flow)
    run(flow, run_id)
    for path in tmp_path.iterdir():
        path.unlink()
    client.restart_flow_run(run_id)
    _, answer = run(flow, run_id)
    assert answer.tasks["double-1", -1].state == "Mapped"
    assert answer.tasks["double-1", 0].state == "Success"
    message = answer.tasks["double-1", 1].state_message
    assert message.startswith("Failed to retrieve task results: ")
    assert "--again 'numbers'" in message


def test_secrets_and_resources_are_there_again(create, run, client, tmp_path, monkeypatch):
    noted = tmp_path / "noted"
    broken = tmp_path / "broken"
    broken.touch()

    def note(text):
        # values of an earlier process are copies: only a file tells of all of them
        with noted.open("a") as file:
            file.write(f"{text}\n")

    @resource_manager
    class Pool:
        def setup(self):
            note("setup")
            return "pool"

        def cleanup(self, pool):
            note(f"cleanup {pool}")

    @task
    def use(pool, password):
        note(f"{password} on {pool}")
        assert not broken.exists()

    monkeypatch.setenv("PASSWORD_OF_TEST", "xyzzy")
    with Flow("resources", result=LocalResult(str(tmp_path / "results"))) as flow:
        password = EnvVarSecret("PASSWORD_OF_TEST")
        with Pool() as pool:
            use(pool, password)
    run_id = create(flow)
    run(flow, run_id)
    assert noted.read_text().splitlines() == ["setup", "xyzzy on pool", "cleanup pool"]
    broken.unlink()
    again = {item.task_name: item.reason for item in client.restart_flow_run(run_id).again}
    assert again == {
        "PASSWORD_OF_TEST": "NEVER_KEPT",
        "Pool.setup": "NEVER_KEPT",
        "use": "FAILED",
        "Pool.cleanup": "DOWNSTREAM",
    }
    state, _ = run(flow, run_id)
    assert state.is_successful()
    assert noted.read_text().splitlines() == ["setup", "xyzzy on pool", "cleanup pool"] * 2


def test_a_cancelled_run_goes_on(create, run, client, journal, tmp_path):
    flow, _ = five_tasks(journal, result=LocalResult(str(tmp_path)))
    run_id = create(flow)
    client.cancel_flow_run(run_id)
    assert {again.reason for again in client.restart_flow_run(run_id).again} == {"UNFINISHED"}
    state, _ = run(flow, run_id)
    assert state.is_successful()
    assert len(journal.taken()) == 5


def test_attempts_begin_anew(create, run, client, tmp_path):
    counts = []

    @task(max_retries=1, retry_delay=timedelta(0))
    def fail():
        counts.append(prefect.context.task_run_count)
        raise ValueError

    with Flow("attempts", result=LocalResult(str(tmp_path))) as flow:
        fail()
    run_id = create(flow)
    run(flow, run_id)
    client.restart_flow_run(run_id)
    run(flow, run_id)
    assert counts == [1, 2, 1, 2]


def test_secrets_and_resources_run_again_in_a_later_process(create, run, client, tmp_path, monkeypatch):
    """Also without a restart: a long retry has come due, and what they give was not kept."""
    noted = tmp_path / "noted"

    def note(text):
        with noted.open("a") as file:
            file.write(f"{text}\n")

    @resource_manager
    class Pool:
        def setup(self):
            note("setup")
            return "pool"

        def cleanup(self, pool):
            note(f"cleanup {pool}")

    @task(max_retries=1, retry_delay=timedelta(hours=1))
    def use(pool, password):
        if prefect.context.task_run_count == 1:
            raise ValueError("not yet")
        note(f"{password} on {pool}")

    monkeypatch.setenv("PASSWORD_OF_TEST", "xyzzy")
    with Flow("later", result=LocalResult(str(tmp_path / "results"))) as flow:
        password = EnvVarSecret("PASSWORD_OF_TEST")
        with Pool() as pool:
            use(pool, password)
    run_id = create(flow)
    _, answer = run(flow, run_id)
    client.set_task_run_state(answer.tasks["use-1", -1].id, Retrying(run_count=1))
    state, answer = run(flow, run_id)
    assert state.is_successful()
    assert noted.read_text().splitlines() == ["setup", "setup", "xyzzy on pool", "cleanup pool"]
    again = ["Pending", "Running", "Success", "Running", "Success"]
    assert answer.history("PASSWORD_OF_TEST-1") == again
    assert answer.history("Pool.setup-1") == again
    assert not [line for line in answer.lines if "failed for task run" in line]
