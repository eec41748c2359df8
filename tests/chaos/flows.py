"""The flows of the fault test. Every line says under which claim it was written.

`tiny` and `stubborn` are executed by `executor.py`, which needs no process per run; the others by real processes.
"""

import json
import os
import time
from datetime import timedelta
from pathlib import Path

import prefect
from prefect import Flow, Parameter, task
from prefect.utilities.logging import LOG_MANAGER

FLUSH_SECONDS = 3.0


def acknowledged(texts):
    """Note in the journal of this process what the API has stored."""
    record = {"kind": "lines", "run": prefect.context.flow_run_id, "texts": texts}
    path = Path(os.environ["CHAOS_JOURNALS"]) / f"{os.getpid()}.jsonl"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, (json.dumps(record) + "\n").encode())
    os.close(descriptor)


def write_lines(name, count, seconds):
    """Write lines for some time; those that are certainly stored are noted."""
    context = prefect.context
    who = f"execution {context.claim_token} {name} {context.get('map_index', -1)} of {context.task_run_id}"
    attempt = f"{context.get('task_run_count', 1)} at {time.monotonic_ns()}"
    texts = []
    for number in range(count):
        texts.append(f"{who} attempt {attempt} line {number}")
        context.logger.info(texts[-1])
        time.sleep(seconds / count)
    # A manager that was refused drops its lines and counts as empty.
    if LOG_MANAGER.flush(FLUSH_SECONDS) and not LOG_MANAGER._refused:
        acknowledged(texts)


@task
def work(seconds):
    write_lines("work", 3, seconds)


@task(max_retries=2, retry_delay=timedelta(seconds=1))
def fail_once(seconds):
    write_lines("fail_once", 2, seconds)
    if prefect.context.get("task_run_count", 1) == 1:
        raise RuntimeError("not yet")


@task
def child(number, seconds):
    write_lines(f"child {number}", 2, seconds)


@task
def first():
    """Executed elsewhere."""


@task(max_retries=2, retry_delay=timedelta(seconds=0), tags=["scarce"])
def again():
    """Executed elsewhere."""


with Flow("steps") as steps:
    pause = Parameter("seconds", default=0.1)
    work(pause, upstream_tasks=[work(pause, upstream_tasks=[work(pause)])])

with Flow("slow") as slow:
    work(Parameter("seconds", default=5))

with Flow("retrying") as retrying:
    fail_once(Parameter("seconds", default=0.1))

with Flow("mapped") as mapped:
    child.map([1, 2, 3], prefect.unmapped(Parameter("seconds", default=0.1)))

with Flow("tiny") as tiny:
    first(upstream_tasks=[first()])

with Flow("stubborn") as stubborn:
    again(upstream_tasks=[again()])
