"""Where flows are kept between registration and execution."""

from typing import TYPE_CHECKING

from prefect.utilities.importtools import lazy_attributes

if TYPE_CHECKING:
    from prefect.storage.base import Storage, get_default_storage_class
    from prefect.storage.local import Local
    from prefect.storage.module import Module

__all__ = ["Local", "Module", "Storage", "get_default_storage_class"]

__getattr__, __dir__ = lazy_attributes(
    "prefect.storage",
    {
        "Local": "prefect.storage.local",
        "Module": "prefect.storage.module",
        "Storage": "prefect.storage.base",
        "get_default_storage_class": "prefect.storage.base",
    },
    ("base", "local", "module"),
    absent=("Azure", "Bitbucket", "CodeCommit", "Docker", "GCS", "Git", "GitHub", "GitLab", "S3", "Webhook"),
)
