"""Flows of 1.4.1 that run other flows: the tasks of `prefect.tasks.prefect`, and the classes before them."""

from datetime import timedelta

import prefect
from prefect import Flow, Parameter, task
from prefect.backend import FlowRunView
from prefect.engine.results import LocalResult
from prefect.run_configs import LocalRun
from prefect.tasks.prefect import (
    CancelFlowRun,
    RenameFlowRun,
    StartFlowRun,
    create_flow_run,
    get_task_run_result,
    wait_for_flow_run,
)


@task(result=LocalResult())
def answer(number):
    return 2 * number


with Flow("child", result=LocalResult()) as child:
    answer(Parameter("number", default=21))


@task
def report(what, value):
    prefect.context.get("logger").info("%s: %s", what, value)


@task
def state_of(view: FlowRunView):
    return type(view.state).__name__


with Flow("parent") as parent:
    child_id = create_flow_run(
        flow_name="child", project_name="subflows", parameters={"number": 4}, labels=["old"], run_name="the child"
    )
    view = wait_for_flow_run(child_id, stream_logs=True, raise_final_state=True)
    report("state", state_of(view))
    report("result", get_task_run_result(child_id, "answer-1", poll_time=1, upstream_tasks=[view]))


@task
def own_id():
    return prefect.context["flow_run_id"]


with Flow("starting") as starting:
    RenameFlowRun()(flow_run_id=own_id(), flow_run_name="a new name")
    never = create_flow_run(flow_name="child", project_name="subflows", labels=["nobody"])
    cancelled = CancelFlowRun()(flow_run_id=never)
    report("cancelled", cancelled)


with Flow("mirroring") as mirroring:
    StartFlowRun(
        flow_name="child",
        project_name="subflows",
        parameters={"number": 5},
        run_config=LocalRun(labels=["old"]),
        wait=True,
        poll_interval=timedelta(seconds=3),
        run_name="a mirrored one",
    )()
