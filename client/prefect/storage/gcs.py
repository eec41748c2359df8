"""Flows as objects of Google Cloud Storage; using it raises `ImportError` without the extra `gcp`."""

from typing import TYPE_CHECKING, Any, ClassVar

from prefect.engine.results.gcs_result import GCSResult
from prefect.storage.object_store import ObjectStorage
from prefect.utilities.object_stores import GoogleObjects, ObjectStore

if TYPE_CHECKING:
    from prefect.engine.result import Result

__all__ = ["GCS"]


class GCS(ObjectStorage):
    """Keeps flows in a bucket of Google Cloud Storage.

    Credentials are the secret `GCP_CREDENTIALS` (name it in `secrets`), else Google's own places.
    """

    fields: ClassVar[tuple[str, ...]] = ("bucket", "key", "project", "stored_as_script")
    place: ClassVar[str] = "GCS"

    def __init__(
        self,
        bucket: str,
        key: str | None = None,
        project: str | None = None,
        stored_as_script: bool = False,
        local_script_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.bucket = bucket
        self.key = key
        self.project = project
        super().__init__(local_script_path, stored_as_script, **kwargs)

    def default_result(self) -> "Result | None":
        """Return objects in the same bucket."""
        return self.result if self.result is not None else GCSResult(self.bucket)

    def store(self) -> ObjectStore:
        """Return the bucket."""
        return GoogleObjects(self.bucket, self.project)
