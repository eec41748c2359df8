"""Values as blobs of Azure Blob Storage."""

from typing import Any

from prefect.engine.results.object_store_result import ObjectStoreResult
from prefect.utilities.object_stores import AzureBlobs

__all__ = ["AzureResult"]


class AzureResult(ObjectStoreResult):
    """Keeps values in a container of Azure Blob Storage; using it raises `ImportError` without the extra `azure`.

    The connection string is the one given, else that of the secret `connection_string_secret`, else the secret or
    environment variable `AZURE_STORAGE_CONNECTION_STRING`; without any, using it raises `ValueError`.
    """

    def __init__(
        self,
        container: str,
        connection_string: str | None = None,
        connection_string_secret: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.container = container
        self.connection_string_secret = connection_string_secret
        super().__init__(AzureBlobs(container, connection_string, connection_string_secret), **kwargs)
