"""Ready-made tasks, one sub-module a subject; each loads on first use.

The third-party collections of 1.x (`prefect.tasks.aws` and the like) are not part of Flowstead: importing one raises an
`ImportError` that says how to write such a task as a function.
"""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING, Any

from prefect.utilities.importtools import lazy_attributes

if TYPE_CHECKING:
    from types import ModuleType

_MODULES = (
    "control_flow",
    "core",
    "database",
    "files",
    "notifications",
    "prefect",
    "secrets",
    "shell",
    "templates",
)
_LEFT_OUT = """\
{name} is not part of Flowstead: it has the tasks of Prefect 1.x that need nothing but Python, not its third-party \
collections. Write the task as a function that uses the vendor's own package:

    from prefect import task

    @task(max_retries=3, retry_delay=timedelta(seconds=10))
    def my_{subject}_task(...):
        ...  # what the task of the collection did
"""


class _LeftOutFinder:
    """Asked for a module of this package after everything else: there is none."""

    @staticmethod
    def find_spec(
        fullname: str,
        path: Sequence[str] | None = None,
        target: "ModuleType | None" = None,
    ) -> ModuleSpec | None:
        package, _, subject = fullname.rpartition(".")
        if package == __name__ and not subject.startswith("_"):
            raise ImportError(_LEFT_OUT.format(name=fullname, subject=subject), name=fullname)
        return None


sys.meta_path.append(_LeftOutFinder)

_load, __dir__ = lazy_attributes(__name__, {}, _MODULES)

if not TYPE_CHECKING:  # a type checker shall complain about names that do not exist

    def __getattr__(name: str) -> Any:
        try:
            return _load(name)
        except AttributeError:
            if name.startswith("_"):
                raise
            raise AttributeError(_LEFT_OUT.format(name=f"{__name__}.{name}", subject=name)) from None
