"""`StringFormatter`: a template of `str.format`."""

from typing import Any

from prefect.core.task import Task
from prefect.utilities.context import context
from prefect.utilities.tasks import defaults_from_attrs

__all__ = ["StringFormatter"]


class StringFormatter(Task):
    """Fills in `template` (such as `"Report of {today} for {customer}"`) from the context and the task's inputs."""

    def __init__(self, template: str | None = None, **kwargs: Any) -> None:
        self.template = template
        super().__init__(**kwargs)

    @defaults_from_attrs("template")
    def run(self, template: str | None = None, **format_kwargs: Any) -> str:
        """Return the text, empty without a template; raises `KeyError` for a name that has no value."""
        return (template or "").format(**{**context, **format_kwargs})
