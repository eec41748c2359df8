"""Drop what a mapped task should not pass on."""

from collections.abc import Callable
from typing import Any

from prefect.core.task import Task
from prefect.triggers import all_finished
from prefect.utilities.context import context

__all__ = ["FilterTask"]


def _keep(value: Any) -> bool:
    return value is not None and not isinstance(value, Exception)


class FilterTask(Task):
    """Returns the items that `filter_func` accepts; by default all but None and exceptions."""

    def __init__(
        self,
        filter_func: Callable[[Any], bool] | None = None,
        log_func: Callable[[list[Any]], Any] | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("skip_on_upstream_skip", False)
        kwargs.setdefault("trigger", all_finished)
        self.filter_func = filter_func or _keep
        self.log_func = log_func
        super().__init__(**kwargs)

    def run(self, task_results: list[Any]) -> list[Any]:
        """Return the accepted items in order."""
        kept = [item for item in task_results if self.filter_func(item)]
        if self.log_func is not None:
            logger = context.get("logger") or self.logger
            logger.info(self.log_func([item for item in task_results if not self.filter_func(item)]))
        return kept
