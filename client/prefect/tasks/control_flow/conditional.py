"""Tasks that compare a value, choose a branch, or take the result of whichever branch ran."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from prefect.core.task import Task
from prefect.engine import signals
from prefect.tasks.core.function import FunctionTask
from prefect.triggers import not_all_skipped
from prefect.utilities.edges import mapped as mapped_annotation
from prefect.utilities.tasks import as_task

if TYPE_CHECKING:
    from prefect.core.flow import Flow

__all__ = ["CompareValue", "Merge", "ifelse", "merge", "switch"]


class CompareValue(Task):
    """Succeeds if its input equals `value`, and is skipped otherwise."""

    def __init__(self, value: Any, **kwargs: Any) -> None:
        self.value = value
        kwargs.setdefault("name", f'CompareValue: "{value}"')
        super().__init__(**kwargs)

    def run(self, value: Any) -> None:
        """Skip unless the values are equal."""
        if value != self.value:
            raise signals.SKIP(f'Provided value "{value}" did not match "{self.value}"')


class Merge(Task):
    """Returns the first of its inputs that is not None."""

    def __init__(self, **kwargs: Any) -> None:
        if kwargs.setdefault("skip_on_upstream_skip", False):
            raise ValueError("Merge tasks must have `skip_on_upstream_skip=False`.")
        kwargs.setdefault("trigger", not_all_skipped)
        super().__init__(**kwargs)

    def run(self, **task_results: Any) -> Any:
        """Return the first input, in the order that they were given, which has a value."""
        for name in sorted(task_results, key=lambda key: int(key.rpartition("_")[2])):
            value = task_results[name]
            # A branch that skipped itself has its signal as result, which is no value.
            if value is not None and not isinstance(value, signals.SKIP):
                return value
        return None


def merge(*tasks: Any, flow: "Flow | None" = None, mapped: bool = False, **kwargs: Any) -> Task:
    """Return a task with the result of the first of the tasks (branches, as a rule) that has one.

    `kwargs` go to the `Merge` task; `mapped` merges element by element.
    """
    results = {f"task_{number}": value for number, value in enumerate(tasks, start=1)}
    bound: Task = Merge(**kwargs).bind(**results, flow=flow, mapped=mapped)
    return bound


def switch(condition: Any, cases: Mapping[Any, Any], mapped: bool = False) -> None:
    """Run the task whose key equals the condition, and skip those of the other keys."""
    for value, branch in cases.items():
        compare = CompareValue(value=value, tags=["switch"])
        compare.bind(value=mapped_annotation(condition) if mapped else condition)
        as_task(branch).set_upstream(mapped_annotation(compare) if mapped else compare)


def ifelse(condition: Any, true_task: Any, false_task: Any, mapped: bool = False) -> None:
    """Run one task if the condition is true, another (or none) if it is false."""

    def as_bool(x: Any) -> bool:
        return bool(x)

    truth = FunctionTask(as_bool, name="as_bool")(mapped_annotation(condition) if mapped else condition)
    cases = {value: branch for value, branch in ((True, true_task), (False, false_task)) if branch is not None}
    switch(truth, cases, mapped=mapped)
