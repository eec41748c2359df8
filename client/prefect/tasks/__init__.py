"""Ready-made tasks, one sub-module a subject; each loads on first use."""

from prefect.utilities.importtools import lazy_attributes

__getattr__, __dir__ = lazy_attributes("prefect.tasks", {}, ("control_flow", "core", "prefect", "secrets"))
