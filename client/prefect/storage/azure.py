"""Flows as blobs of Azure Blob Storage; using it raises `ImportError` without the extra `azure`."""

from typing import TYPE_CHECKING, Any, ClassVar

from prefect.engine.results.azure_result import AzureResult
from prefect.exceptions import FlowStorageError
from prefect.storage.object_store import ObjectStorage
from prefect.utilities.object_stores import AzureBlobs, ObjectStore

if TYPE_CHECKING:
    from prefect.engine.result import Result

__all__ = ["Azure"]


class Azure(ObjectStorage):
    """Keeps flows in a container of Azure Blob Storage; a blob that is there is replaced with `overwrite` only.

    The connection string is the secret `connection_string_secret`, else the secret or environment variable
    `AZURE_STORAGE_CONNECTION_STRING`.
    """

    fields: ClassVar[tuple[str, ...]] = ("container", "connection_string_secret", "blob_name", "stored_as_script")
    place: ClassVar[str] = "Azure"
    key_name: ClassVar[str] = "blob_name"
    overwrite = False

    def __init__(
        self,
        container: str,
        connection_string_secret: str | None = None,
        blob_name: str | None = None,
        overwrite: bool = False,
        stored_as_script: bool = False,
        **kwargs: Any,
    ) -> None:
        self.container = container
        self.connection_string_secret = connection_string_secret
        self.blob_name = blob_name
        self.overwrite = overwrite
        super().__init__(stored_as_script=stored_as_script, **kwargs)

    def default_result(self) -> "Result | None":
        """Return blobs in the same container."""
        if self.result is not None:
            return self.result
        return AzureResult(self.container, connection_string_secret=self.connection_string_secret)

    def store(self) -> ObjectStore:
        """Return the container."""
        return AzureBlobs(self.container, secret=self.connection_string_secret)

    def _check_free(self, store: ObjectStore, key: str) -> None:
        if not self.overwrite and store.info(key) is not None:
            raise FlowStorageError(
                f"There is a blob {key!r} in the container {self.container!r} already. Give another `blob_name`, or "
                "`overwrite=True` to replace it."
            )
