"""Flows as people write them, for tests of the whole system."""

import time
from datetime import timedelta
from pathlib import Path

import prefect
from prefect import Flow, Parameter, task


@task
def fail():
    raise ValueError("meant to fail: ünï 🚀")


with Flow("failing") as failing:
    fail()


@task(max_retries=2, retry_delay=timedelta(seconds=1))
def flaky():
    count = prefect.context.get("task_run_count", 1)
    prefect.context.get("logger").info("attempt %d", count)
    if count < 2:
        raise RuntimeError("not yet")


with Flow("flaky") as flaky_flow:
    flaky()


@task
def double(number):
    return 2 * number


@task
def add(numbers):
    prefect.context.get("logger").info("sum %d", sum(numbers))


with Flow("mapped") as mapped:
    add(double.map(Parameter("numbers")))


@task
def wait(path):
    """Wait for a file."""
    logger = prefect.context.get("logger")
    logger.info("waiting")
    deadline = time.monotonic() + 100
    while not Path(path).exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    logger.info("the file is there")


with Flow("waiting") as waiting:
    wait(Parameter("path"))


@task
def chatter(count, pause):
    """Write many numbered lines, a hundred at a time."""
    logger = prefect.context.get("logger")
    for number in range(count):
        logger.info("line %d of %d", number, count)
        if number % 100 == 0:
            time.sleep(pause)


with Flow("chatter") as chattering:
    chatter(Parameter("count", default=3000), Parameter("pause", default=0.15))


@task(max_retries=1, retry_delay=timedelta(seconds=0))
def persist(count, pause):
    """As chatter, but one more attempt is allowed."""
    chatter.run(count, pause)


with Flow("persistent") as persistent:
    persist(100_000, 0.2)


@task
def quick(number):
    prefect.context.get("logger").info("run number %s", number)


with Flow("quick") as quick_flow:
    quick(Parameter("number", default=0))


@task(log_stdout=True)
def shout(count):
    for number in range(count):
        print(f"shouted {number}")


with Flow("shouting") as shouting:
    shout(Parameter("count", default=10))


@task
def strange():
    logger = prefect.context.get("logger")
    logger.info("")
    logger.info("nul\x00inside 🚀 ünïcode \u202e")
    logger.info("x" * 1_500_000)
    logger.info("lone \ud800 surrogate")
    logger.info("two\nlines")


with Flow("strange 🚀 'quoted\"") as strange_flow:
    strange()

with Flow("empty") as empty:
    pass


@task
def listed():
    prefect.context.get("logger").info("listing")
    return [1, 2, 3]


@task(checkpoint=False)
def forgotten(numbers):
    prefect.context.get("logger").info("adding")
    return sum(numbers)


@task
def needs(path, number):
    """Fail until a file is there."""
    if not Path(path).exists():
        raise ValueError("the file is not there")
    prefect.context.get("logger").info("went on with %d", number)
    return number


with Flow("going on") as going_on:
    shout(needs(Parameter("path"), forgotten(listed())))
