"""A flow as users write it, with types: a type checker has nothing to say about it."""

from datetime import timedelta
from typing import Any

import prefect
from prefect import (
    Client,
    Flow,
    Parameter,
    Task,
    apply_map,
    case,
    flatten,
    mapped,
    resource_manager,
    tags,
    task,
    unmapped,
)
from prefect.engine import signals
from prefect.engine.results import LocalResult
from prefect.engine.state import Failed, State
from prefect.executors import LocalExecutor
from prefect.run_configs import LocalRun
from prefect.schedules import CronSchedule
from prefect.storage import Local
from prefect.tasks.control_flow import merge
from prefect.tasks.prefect import create_flow_run, wait_for_flow_run
from prefect.tasks.shell import ShellTask
from prefect.utilities.notifications import slack_notifier


@task
def numbers(count: int = 3) -> list[int]:
    """Give numbers."""
    prefect.context.get("logger").info("counting to %s", count)
    return list(range(count))


@task(max_retries=2, retry_delay=timedelta(seconds=1), name="addition", tags={"math"}, result=LocalResult())
def add(x: int, y: int = 1, *, label: str = "") -> int:
    if x < 0:
        raise prefect.engine.signals.SKIP("negative")
    if y < 0:
        raise signals.FAIL("negative")
    return x + y


@task(nout=2)
def split(text: str) -> tuple[str, str]:
    head, _, tail = text.partition(",")
    return head, tail


@task(state_handlers=[slack_notifier(only_states=[Failed])], trigger=prefect.triggers.all_finished)
def show(**values: Any) -> None:
    print(values)


class Multiply(Task):
    """A task as a class."""

    def __init__(self, factor: int, **kwargs: Any) -> None:
        self.factor = factor
        super().__init__(**kwargs)

    def run(self, x: int) -> int:
        self.logger.info("multiplying")
        return x * self.factor


class Connection:
    """A resource; mypy does not see what decorators make of classes."""

    def __init__(self, host: str) -> None:
        self.host = host

    def setup(self) -> str:
        return self.host

    def cleanup(self, resource: str) -> None:
        print(resource)


connected = resource_manager(Connection)


def pipeline(x: Any) -> Any:
    return add(x, y=2)


with Flow("typed", schedule=CronSchedule("0 0 * * *"), executor=LocalExecutor(), storage=Local()) as flow:
    count = Parameter("count", default=3)
    found = numbers(count)
    single = add(1, y=add(2, 3), label="inner", upstream_tasks=[found])
    many = add.map(found, y=unmapped(2), task_args={"name": "many"})
    flat = add.map(flatten([[1], [2]]))
    some = add(mapped(found), y=5)
    double = Multiply(factor=2, max_retries=0)
    doubled = double(single)
    doubled.set_upstream(many)
    first, second = split("a,b")
    with case(single, 3):
        in_case = add(1, 2)
    chosen = merge(in_case, doubled)
    with tags("x"), connected("here") as connection:
        show(connection=connection, first=first, sum=single + 1, item=found[0])
    mapped_again = apply_map(pipeline, found)
    listing = ShellTask(command="ls")()
    child = create_flow_run(flow_name="child", project_name="p", parameters={"x": 1})
    wait_for_flow_run(child, raise_final_state=True)

flow.run_config = LocalRun(labels=["here"])
state = flow.run(parameters={"count": 2})
total: int = add.run(1, 2)
if state.is_successful():
    task_state: State = state.result[single]
    print(task_state.message)
flow_id: str = flow.register("project", labels=["a"])
run_id: str = Client().create_flow_run(flow_id=flow_id, parameters={"count": 1})
