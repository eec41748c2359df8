"""Times and memory of flows of tasks that do nothing, by the library of whatever Python runs this.

Run as a script: `engine_run.py WHAT NUMBER …`; prints one JSON object of figures. It uses only what 1.4.1 has too.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ["PREFECT__LOGGING__LEVEL"] = "INFO"

from prefect import Flow, task
from prefect.engine import FlowRunner

KIB = 1024


@task
def first(x):  # type: ignore[no-untyped-def]  # annotations of tasks are not what is measured
    return x


@task
def following(x):  # type: ignore[no-untyped-def]  # as above
    return x


@task
def large(x):  # type: ignore[no-untyped-def]  # as above
    return bytes(100 * KIB)


@task
def length(value):  # type: ignore[no-untyped-def]  # as above
    return len(value)


@task
def total(values):  # type: ignore[no-untyped-def]  # as above
    return sum(values)


def chain(number: int) -> Flow:
    """One task after the other."""
    with Flow("chain") as flow:
        last = first(0)
        for _ in range(number - 1):
            last = following(last)
    return flow


def wide(number: int) -> Flow:
    """A map over the result of a task."""
    with Flow("wide") as flow:
        following.map(first(list(range(number))))
    return flow


def pipeline(number: int) -> Flow:
    """Large values, each of which one task takes."""
    with Flow("pipeline") as flow:
        total(length.map(large.map(list(range(number)))))
    return flow


def seconds(work: Callable[[], Any]) -> float:
    """How long something takes."""
    before = time.perf_counter()
    work()
    return time.perf_counter() - before


def peak() -> float:
    """The most memory this process and the largest of its children had, in MiB."""
    own, children = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return (own + children) / KIB


def run(flow: Flow, executor: Any = None) -> None:
    """Run without keeping the states of all tasks, as a run of the API does."""
    end = FlowRunner(flow).run(executor=executor)
    if not end.is_successful():
        raise SystemExit(f"The flow ended in {end!r}")


def main(what: str, number: int, rounds: int) -> dict[str, float]:
    """Measure; each figure is the least of its rounds, per task where it is a time."""
    if what == "times":
        flows = (chain(number), wide(number))
        for flow in (chain(20), wide(20)):
            flow.run()
        return {
            "build": min(seconds(lambda: chain(number)) for _ in range(rounds)) / number,
            "serialize": min(seconds(flows[0].serialize) for _ in range(rounds)) / number,
            "chain": min(seconds(flows[0].run) for _ in range(rounds)) / number,
            "map": min(seconds(flows[1].run) for _ in range(rounds)) / number,
        }
    if what == "local":
        took = seconds(lambda: run(wide(number)))
        return {"seconds": took, "peak": peak()}
    from prefect.executors import DaskExecutor

    cluster = {"n_workers": 1, "threads_per_worker": 2, "dashboard_address": ":0"}
    took = seconds(lambda: run(pipeline(number), DaskExecutor(cluster_kwargs=cluster)))
    return {"seconds": took, "peak": peak()}


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))), file=answers)
    answers.close()
