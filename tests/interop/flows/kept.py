"""Flows whose values are kept in every way; both libraries execute this file and say what became of each task."""

from datetime import timedelta
from pathlib import Path

import prefect
from prefect import Flow, Parameter, task
from prefect.engine import signals
from prefect.engine.results import LocalResult, PrefectResult

LOOPS = 3


def tasks(folder):
    """Return the tasks by name; each keeps its value under the folder."""

    def at(location):
        return LocalResult(folder, location=location)

    def looping():
        number = prefect.context.get("task_loop_count", 1)
        if number < LOOPS:
            raise signals.LOOP(result=number)
        return number

    def raising(signal):
        def run():
            raise signal("said", result=3)

        return run

    return {
        "input": task(lambda x: x, name="input", result=at("{x}.p")),
        "target": task(lambda x: x, name="target", result=LocalResult(folder), target="{task_name}-{map_index}-{x}.t"),
        "function": task(
            lambda x: x, name="function", result=LocalResult(folder), target=lambda **names: f"{names['x']}.f"
        ),
        "flows": task(lambda x: x, name="flows", target="{x}.of-flow"),
        "date": task(lambda: 1, name="date", result=at("{date:%Y-%m}/{flow_name}")),
        "cached": task(lambda: 5, name="cached", cache_for=timedelta(hours=1), result=at("cached.p")),
        "unnamed": task(lambda: 1, name="unnamed", result=at("{nope}")),
        "opted": task(lambda: 1, name="opted", checkpoint=False, result=at("opted")),
        "json": task(lambda: {"a": 1}, name="json", result=PrefectResult()),
        "no json": task(lambda: {1, 2}, name="no json", result=PrefectResult()),
        "none": task(lambda: None, name="none", result=at("none")),
        "named": task(lambda x: x, name="named", task_run_name="run-{x}", result=at("{task_run_name}.n")),
        "loop": task(looping, name="loop", result=at("loop")),
        "empty": task(lambda: 1, name="empty", target="", result=at("empty")),
        "skip": task(raising(signals.SKIP), name="skip", result=at("skip")),
        "success": task(raising(signals.SUCCESS), name="success", result=at("success")),
        "fail": task(raising(signals.FAIL), name="fail", result=at("fail")),
    }


def flow_of(folder):
    """Return one flow of all of them, mapped where they take something."""
    with Flow("kept", result=LocalResult(folder, location="flow-{task_full_name}")) as flow:
        for name, one in tasks(folder).items():
            if name in {"input", "target", "function", "flows", "named"}:
                one(f"{name}-alone")
                one.map([f"{name}-0", f"{name}-1"])
            else:
                one()
        Parameter("q", default=[1])()
        task(lambda: 4, name="plain")()
    return flow


def outcome(state, folder):
    """Return class, message, location and value of a state."""
    location = state._result.location
    if isinstance(location, str):
        location = location.replace(folder, "D")
    # What the two say of what went wrong differs within the parentheses.
    message = str(state.message).replace(folder, "D").partition("(")[0]
    value = type(state.result).__name__ if isinstance(state.result, BaseException) else repr(state.result)
    return [type(state).__name__, message, location, value]


def outcomes(folder):
    """Run the flow thrice, the last time without keeping values; return what became of it each time, and the files."""
    flow = flow_of(folder)
    runs = []
    for checkpointing in (True, True, False):
        with prefect.context(checkpointing=checkpointing):
            state = flow.run()
        rows = {"": [type(state).__name__, state.message]}
        for one, slug in flow.slugs.items():
            ended = state.result[one]
            rows[slug] = [outcome(each, folder) for each in getattr(ended, "map_states", None) or [ended]]
        runs.append(rows)
    files = sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())
    return [runs, files]
