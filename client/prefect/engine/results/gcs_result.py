"""Values as objects of Google Cloud Storage."""

from typing import Any

from prefect.engine.results.object_store_result import ObjectStoreResult
from prefect.utilities.object_stores import GoogleObjects

__all__ = ["GCSResult"]


class GCSResult(ObjectStoreResult):
    """Keeps values in a bucket of Google Cloud Storage; using it raises `ImportError` without the extra `gcp`.

    Credentials are the secret `GCP_CREDENTIALS` (the JSON of a service account), else Google's own places.
    """

    def __init__(self, bucket: str | None = None, **kwargs: Any) -> None:
        self.bucket = bucket
        super().__init__(GoogleObjects(bucket or ""), **kwargs)
