"""Flows that both generations register and execute."""

import time
from datetime import timedelta
from pathlib import Path

import prefect
from prefect import Flow, Parameter, task
from prefect.engine.results import LocalResult


@task
def say(text):
    prefect.context.get("logger").info("said %s", text)


with Flow("saying") as saying:
    say(Parameter("text", default="nothing"))


@task(task_run_name="doubled-{number}", result=LocalResult())
def double(number):
    return 2 * number


@task(result=LocalResult())
def total(numbers):
    prefect.context.get("logger").info("total %d", sum(numbers))
    return sum(numbers)


with Flow("mapping", result=LocalResult()) as mapping:
    total(double.map(Parameter("numbers", default=[1, 2, 3])))


@task(max_retries=2, retry_delay=timedelta(seconds=1))
def flaky():
    count = prefect.context.get("task_run_count", 1)
    prefect.context.get("logger").info("attempt %d", count)
    if count < 2:
        raise RuntimeError("not yet")


with Flow("retrying") as retrying:
    flaky()


@task
def fail():
    raise ValueError("meant to fail: ünï 🚀")


with Flow("failing") as failing:
    fail()


@task
def wait(path):
    prefect.context.get("logger").info("waiting")
    deadline = time.monotonic() + 100
    while not Path(path).exists() and time.monotonic() < deadline:
        time.sleep(0.02)


with Flow("waiting") as waiting:
    wait(Parameter("path"))


@task(cache_for=timedelta(hours=1), cache_key="interop", result=LocalResult())
def remember():
    prefect.context.get("logger").info("computed")
    return 42


@task
def show(value):
    prefect.context.get("logger").info("value %s", value)


with Flow("caching") as caching:
    show(remember())


@task
def read_context():
    context = prefect.context
    context.get("logger").info("colour %s of %s", context.get("colour"), context.get("flow_run_name"))


with Flow("reading-context") as reading:
    read_context()
