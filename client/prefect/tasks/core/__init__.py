"""The tasks that the library itself makes while a flow is built."""

from prefect.utilities.importtools import lazy_attributes

__getattr__, __dir__ = lazy_attributes(
    "prefect.tasks.core", {}, ("collections", "constants", "function", "operators", "resource_manager")
)
