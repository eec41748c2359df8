"""Flows with everything that is written as JSON; both libraries execute this file."""

from datetime import timedelta
from typing import Any

import pendulum

from prefect import Flow, Parameter, Task, case, flatten, resource_manager, tags, task, unmapped
from prefect.core.parameter import DateTimeParameter
from prefect.engine import cache_validators
from prefect.run_configs import KubernetesRun
from prefect.schedules import CronSchedule
from prefect.storage import GitHub
from prefect.tasks.control_flow import merge, switch
from prefect.tasks.secrets import EnvVarSecret, PrefectSecret
from prefect.triggers import any_failed, manual_only, some_successful


@task
def plain(x, y=1):
    return x


@task(
    name="Named Task",
    max_retries=2,
    retry_delay=timedelta(seconds=90),
    tags=["b", "a"],
    timeout=30,
    trigger=any_failed,
    skip_on_upstream_skip=False,
    cache_for=timedelta(hours=1),
    cache_validator=cache_validators.partial_inputs_only(["x"]),
    cache_key="k",
    task_run_name="r",
)
def named(x: int, *, z: list[str] | None = None) -> dict[str, Any]:
    return {}


@task(nout=2)
def two() -> tuple[int, str]:
    return 1, "a"


class Own(Task):
    def __init__(self, a, **kwargs):
        self.a = a
        super().__init__(**kwargs)

    def run(self, p: float, q: int | None = None, **more) -> bool:
        return True


def own_trigger(upstream_states):
    return True


@resource_manager
class Resource:
    def __init__(self, n=1):
        pass

    def setup(self):
        return 1

    def cleanup(self, value):
        pass


def everything():
    with Flow("everything") as flow:
        p, q = Parameter("p", default=[1, {"a": None}]), Parameter("q")
        when = DateTimeParameter("when", required=False)
        tagged = Parameter("r", required=False, tags=["t"])
        a = plain(p, y=q)
        b = named(a, z=["x", a])
        c, e = two()
        plain.map([1, 2], y=unmapped(a))
        plain.map(flatten([[1], [2]]))
        own = Own(3, name="own")(p=c, q=5)
        plain({"k": a, "l": [b, (c, e)]})
        condition = (a > b) & (a + 1) & a["x"]
        with case(condition, True):
            m = plain(1)
        with case(condition, False):
            n = plain(2)
        merged = merge(m, n)
        plain(merged, upstream_tasks=[when, tagged])
        with tags("of-context"):
            plain(0)
        plain(PrefectSecret("S"), y=EnvVarSecret("V"))
        switch(a, {"x": plain(5), "y": plain(6)})
        some = task(lambda: 1, name="some", trigger=some_successful(at_least=1, at_most=0.5))()
        task(lambda x: 1, name="own trigger", trigger=own_trigger)(some)
        task(lambda: 1, name="manual", trigger=manual_only)()
        with Resource(3) as resource:
            plain(resource)
        flow.set_reference_tasks([merged, own])
    flow.schedule = CronSchedule("0 0 * * *", start_date=pendulum.datetime(2020, 1, 1, tz="Europe/Rome"))
    flow.run_config = KubernetesRun(image="x", labels=["z", "y"], cpu_limit=2)
    flow.storage = GitHub("o/n", "p.py", secrets=["A"])
    return flow


def imperative():
    flow = Flow("imperative")
    first, second = Task(name="x", slug="own-slug"), Task(name="y")
    flow.add_edge(first, second)
    flow.set_dependencies(second, upstream_tasks=[first], downstream_tasks=[Task(name="w")])
    return flow


def serialized():
    return [flow.serialize() for flow in (everything(), imperative(), Flow("empty"))]
