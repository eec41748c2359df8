"""One script runs three ways with equal results (library-api §13, §27): by itself, by an agent, without an agent."""

import json
import re
import subprocess
import sys

import pytest
from cli_world import start_agent

from prefect.backend import FlowRunView
from prefect.utilities.configuration import set_temporary_config

SCRIPT = """
import json
from datetime import timedelta

import prefect
from prefect import Flow, Parameter, case, flatten, resource_manager, task, unmapped
from prefect.engine.results import LocalResult
from prefect.engine.signals import LOOP, SKIP
from prefect.tasks.control_flow import merge
from prefect.triggers import all_finished


@task
def numbers(n):
    return list(range(n))


@task(max_retries=1, retry_delay=timedelta(0))
def double(x, by):
    if x == 1 and prefect.context.task_run_count == 1:
        raise ValueError("once")
    if x == 3:
        raise SKIP("three is skipped", result=None)
    if x == 4:
        raise RuntimeError("four fails")
    return x * by


@task
def pair(x):
    return [x, prefect.context.map_index]


@task(trigger=all_finished, skip_on_upstream_skip=False)
def count(results):
    return len([item for item in results if isinstance(item, int)])


@task
def loop():
    total = prefect.context.get("task_loop_result", 0) + 1
    if total < 3:
        raise LOOP(result=total)
    return total


@task
def is_large(x):
    return x > 2


@task
def large():
    return "large"


@task
def small():
    return "small"


@resource_manager
class Place:
    def setup(self):
        return "place"

    def cleanup(self, place):
        pass

    def __repr__(self):
        return "a place"


@task(checkpoint=False)
def use(place, day):
    return f"{place} of {day}"


with Flow("three ways", result=LocalResult()) as flow:
    n = Parameter("n", default=5)
    doubled = double.map(numbers(n), by=unmapped(2))
    paired = pair.map(flatten([[1, 2], [3]]))
    counted = count(doubled)
    loop()
    with case(is_large(n), True):
        first = large()
    with case(is_large(n), False):
        second = small()
    merge(first, second)
    with Place() as place:
        use(place, prefect.tasks.core.constants.Constant("today"))
    flow.set_reference_tasks([counted])

if __name__ == "__main__":
    state = flow.run()
    found = {"flow": [type(state).__name__, state.message]}
    for task, end in state.result.items():
        slug = flow.slugs[task]
        found[slug] = [type(end).__name__, None if end.is_mapped() else repr(end.result)]
        for index, child in enumerate(end.map_states if end.is_mapped() else ()):
            found[f"{slug}[{index}]"] = [type(child).__name__, repr(child.result)]
    print("FOUND " + json.dumps(found))
"""
# What an API keeps of these is their message, or nothing at all.
_WITHOUT_VALUE = {"Skipped", "Failed", "TriggerFailed", "Mapped"}


@pytest.fixture(scope="module")
def flow_id(shared_cli):
    return shared_cli.register("three ways", "three_ways.py", SCRIPT)


def alone(cli):
    done = subprocess.run(
        [sys.executable, "three_ways.py"], env=cli.env, cwd=cli.folder, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.split("FOUND ", 1)[1])


def stored(cli, flow_run_id):
    with set_temporary_config({"cloud.api": cli.url, "home_dir": str(cli.folder / "home")}):
        view = FlowRunView.from_flow_run_id(flow_run_id)
        found = {"flow": [type(view.state).__name__, view.state.message]}
        for run in view.get_all_task_runs():
            name = run.task_slug if run.map_index < 0 else f"{run.task_slug}[{run.map_index}]"
            kind = type(run.state).__name__
            has_value = kind not in _WITHOUT_VALUE and run.state._result.location is not None
            found[name] = [kind, repr(run.get_result()) if has_value else None]
        return found


def test_a_script_runs_three_ways_with_equal_results(shared_cli, flow_id):
    by_itself = alone(shared_cli)
    executed = shared_cli("run", "--id", flow_id, "--execute", "--quiet").stdout.split()[0]
    with start_agent(shared_cli):
        shown = shared_cli("run", "--id", flow_id, "--watch").stdout
    by_agent = re.search(r"UUID: (\S+)", shown)[1]
    without_agent, with_agent = stored(shared_cli, executed), stored(shared_cli, by_agent)
    assert without_agent == with_agent
    assert by_itself["flow"] == with_agent["flow"] == ["Success", "All reference tasks succeeded."]
    assert set(by_itself) == set(with_agent)
    for name, (kind, value) in with_agent.items():
        assert by_itself[name][0] == kind, name
        if value is not None:
            assert by_itself[name][1] == value, name
    assert with_agent["count-1"] == ["Success", "3"]
    assert with_agent["loop-1"] == ["Success", "3"]
    assert with_agent["double-1[4]"][0] == "Failed"
    assert with_agent["Merge-1"] == ["Success", "'large'"]
