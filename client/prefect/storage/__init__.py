"""Where flows are kept between registration and execution."""

from prefect.utilities.importtools import lazy_attributes

__getattr__, __dir__ = lazy_attributes(
    "prefect.storage",
    {
        "Local": "prefect.storage.local",
        "Module": "prefect.storage.module",
        "Storage": "prefect.storage.base",
        "get_default_storage_class": "prefect.storage.base",
    },
    ("base", "local", "module"),
)
