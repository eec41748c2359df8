"""Where flows are kept between registration and execution.

On this machine (`Local`, `Module`), in object stores (`S3`, `GCS`, `Azure`), in repositories (`Git`, `GitHub`,
`GitLab`, `Bitbucket`, `CodeCommit`), behind an address (`Webhook`) or in an image (`Docker`).  Each kind loads when it
is used; a flow that cannot be loaded raises `prefect.exceptions.FlowStorageError` or what the flow's own code raises.
"""

from typing import TYPE_CHECKING

from prefect.utilities.importtools import lazy_attributes

if TYPE_CHECKING:
    from prefect.storage.azure import Azure
    from prefect.storage.base import Storage, get_default_storage_class
    from prefect.storage.bitbucket import Bitbucket
    from prefect.storage.codecommit import CodeCommit
    from prefect.storage.docker import Docker
    from prefect.storage.gcs import GCS
    from prefect.storage.git import Git
    from prefect.storage.github import GitHub
    from prefect.storage.gitlab import GitLab
    from prefect.storage.local import Local
    from prefect.storage.module import Module
    from prefect.storage.s3 import S3
    from prefect.storage.webhook import Webhook

__all__ = [
    "GCS",
    "S3",
    "Azure",
    "Bitbucket",
    "CodeCommit",
    "Docker",
    "Git",
    "GitHub",
    "GitLab",
    "Local",
    "Module",
    "Storage",
    "Webhook",
    "get_default_storage_class",
]

__getattr__, __dir__ = lazy_attributes(
    "prefect.storage",
    {
        "Azure": "prefect.storage.azure",
        "Bitbucket": "prefect.storage.bitbucket",
        "CodeCommit": "prefect.storage.codecommit",
        "Docker": "prefect.storage.docker",
        "GCS": "prefect.storage.gcs",
        "Git": "prefect.storage.git",
        "GitHub": "prefect.storage.github",
        "GitLab": "prefect.storage.gitlab",
        "Local": "prefect.storage.local",
        "Module": "prefect.storage.module",
        "S3": "prefect.storage.s3",
        "Storage": "prefect.storage.base",
        "Webhook": "prefect.storage.webhook",
        "get_default_storage_class": "prefect.storage.base",
    },
    (
        "azure",
        "base",
        "bitbucket",
        "codecommit",
        "docker",
        "gcs",
        "git",
        "github",
        "gitlab",
        "local",
        "module",
        "s3",
        "webhook",
    ),
)
