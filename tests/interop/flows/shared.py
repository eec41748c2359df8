"""Flows that both generations register and execute."""

import time
from datetime import timedelta
from pathlib import Path

import prefect
from prefect import Flow, Parameter, task, unmapped
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


@task
def numbers_to_go_on():
    prefect.context.get("logger").info("listed")
    return [1, 2, 3]


@task(checkpoint=False)
def forgotten(numbers):
    prefect.context.get("logger").info("forgotten")
    return [number * 10 for number in numbers]


@task
def tenth(number):
    prefect.context.get("logger").info("tenth %s", number)
    return number


@task
def goes_on(number, path):
    if number == 2 and not Path(path).exists():
        raise ValueError("not yet")
    prefect.context.get("logger").info("went on with %s", number)
    return number


with Flow("going-on", result=LocalResult()) as going_on:
    path = Parameter("path")
    listed = numbers_to_go_on()
    # what is mapped over an unstored list, and succeeds, is kept
    tenth.map(forgotten(listed))
    total(goes_on.map(listed, path=unmapped(path)))
