"""Objects in S3, Google Cloud Storage and Azure Blob Storage, through `fsspec`.

The libraries of the stores are extras: without one, `ImportError` says what to install.  Credentials come from the
secrets with the names that 1.x gave them, or else from where the store's own library looks.  What a store answers is
raised as its library raises it: `FileNotFoundError` for what is not there, `PermissionError` and others.
"""

import os
from collections.abc import Mapping
from typing import Any, ClassVar

from prefect.utilities.context import context
from prefect.utilities.extras import import_extra
from prefect.utilities.secrets import Secret

__all__ = ["AzureBlobs", "GoogleObjects", "ObjectStore", "S3Objects"]


def _context_secret(name: str) -> Any:
    """Return a secret of the context; None if there is none of that name there."""
    return Secret(name).get() if name in (context.get("secrets") or {}) else None


class ObjectStore:
    """The objects of one bucket (or container), by their keys.

    Connects at first use.  Pickles and copies carry what was given to the constructor, never a connection or a secret.
    """

    protocol: ClassVar[str]

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket
        self._filesystem: Any = None

    def connect(self) -> Any:
        """Return the `fsspec` filesystem of the store; a kind says how."""
        raise NotImplementedError

    @property
    def filesystem(self) -> Any:
        """The store's filesystem, kept for the next use."""
        if self._filesystem is None:
            self._filesystem = self.connect()
        return self._filesystem

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_filesystem": None}

    def url(self, key: str) -> str:
        """Return the address of an object, for messages."""
        return f"{self.protocol}://{self.bucket}/{key}"

    def _path(self, key: str) -> str:
        return f"{self.bucket}/{key}"

    def read(self, key: str) -> bytes:
        """Return the bytes of an object; raises `FileNotFoundError` if there is none."""
        data: bytes = self.filesystem.cat_file(self._path(key))
        return data

    def write(self, key: str, data: bytes, options: Mapping[str, Any] | None = None) -> None:
        """Keep bytes as an object, in the place of what was there; `options` are those of the store's upload."""
        self.filesystem.pipe_file(self._path(key), data, **(options or {}))

    def info(self, key: str) -> dict[str, Any] | None:
        """Return what the store says about an object, None if there is none."""
        try:
            found: dict[str, Any] = self.filesystem.info(self._path(key))
        except FileNotFoundError:
            return None
        # Keys below this one make stores answer for a directory.
        return found if found.get("type") == "file" else None


class S3Objects(ObjectStore):
    """A bucket of Amazon S3 or of a store that speaks like it.

    `client_options` are the arguments of `boto3.client("s3", ...)`: credentials, `endpoint_url`, `region_name`,
    `config`, and so on.  Credentials are those given here, else the secret `AWS_CREDENTIALS`, else what AWS's library
    finds.
    """

    protocol: ClassVar[str] = "s3"

    def __init__(self, bucket: str, client_options: Mapping[str, Any] | None = None) -> None:
        super().__init__(bucket)
        self.client_options = dict(client_options or {})

    def connect(self) -> Any:
        """Return the filesystem; raises `ImportError` without the extra `aws`."""
        s3fs = import_extra("s3fs", "aws", "Amazon S3")
        options = dict(self.client_options)
        secret = _context_secret("AWS_CREDENTIALS") or {}
        config = options.pop("config", None)
        profile = options.pop("profile_name", None)
        if "aws_access_key_id" in options or profile is not None:
            secret = {}
        given = {
            "key": options.pop("aws_access_key_id", secret.get("ACCESS_KEY")),
            "secret": options.pop("aws_secret_access_key", secret.get("SECRET_ACCESS_KEY")),
            "token": options.pop("aws_session_token", secret.get("SESSION_TOKEN")),
            "profile": profile,
        }
        return s3fs.S3FileSystem(
            **{name: value for name, value in given.items() if value is not None},
            client_kwargs=options,
            config_kwargs=_config_options(config),
            use_listings_cache=False,
        )


def _config_options(config: Any) -> dict[str, Any]:
    if config is None or isinstance(config, Mapping):
        return dict(config or {})
    # A botocore `Config` has no public way to say what it was made with, and s3fs makes its own.
    return dict(config._user_provided_options)  # noqa: SLF001


class GoogleObjects(ObjectStore):
    """A bucket of Google Cloud Storage.

    Credentials are the secret `GCP_CREDENTIALS`, else what Google's library finds.
    """

    protocol: ClassVar[str] = "gs"

    def __init__(self, bucket: str, project: str | None = None) -> None:
        super().__init__(bucket)
        self.project = project

    def connect(self) -> Any:
        """Return the filesystem; raises `ImportError` without the extra `gcp`."""
        gcsfs = import_extra("gcsfs", "gcp", "Google Cloud Storage")
        given = {"project": self.project, "token": _context_secret("GCP_CREDENTIALS")}
        return gcsfs.GCSFileSystem(
            **{name: value for name, value in given.items() if value is not None}, use_listings_cache=False
        )


class AzureBlobs(ObjectStore):
    """A container of Azure Blob Storage.

    The connection string is the one given, else that of the secret named `secret`, else
    `AZURE_STORAGE_CONNECTION_STRING` of the context's secrets or of the environment.
    """

    protocol: ClassVar[str] = "az"

    def __init__(self, bucket: str, connection_string: str | None = None, secret: str | None = None) -> None:
        super().__init__(bucket)
        self.connection_string = connection_string
        self.secret = secret

    def _connection_string(self) -> str:
        name = "AZURE_STORAGE_CONNECTION_STRING"
        found = self.connection_string
        if found is None and self.secret is not None:
            found = Secret(self.secret).get()
        found = found or _context_secret(name) or os.environ.get(name)
        if not found:
            raise ValueError(
                f"Azure connection string not provided. Give the name of a secret that holds it, or set {name} as a "
                "secret or an environment variable."
            )
        return str(found)

    def connect(self) -> Any:
        """Return the filesystem; raises `ValueError` without connection string, `ImportError` without `azure`."""
        connection_string = self._connection_string()
        adlfs = import_extra("adlfs", "azure", "Azure Blob Storage")
        return adlfs.AzureBlobFileSystem(connection_string=connection_string, use_listings_cache=False)
