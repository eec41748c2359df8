"""Flows as objects of Amazon S3; using it raises `ImportError` without the extra `aws`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from prefect.engine.results.s3_result import S3Result
from prefect.storage.object_store import ObjectStorage
from prefect.utilities.object_stores import ObjectStore, S3Objects

if TYPE_CHECKING:
    from prefect.engine.result import Result

__all__ = ["S3"]


class S3(ObjectStorage):
    """Keeps flows in an S3 bucket.

    `client_options` are those of `boto3.client("s3", ...)` and travel with the flow, so credentials belong into the
    secret `AWS_CREDENTIALS` (name it in `secrets`); `upload_options` are those of S3's `PutObject`.
    """

    fields: ClassVar[tuple[str, ...]] = ("bucket", "key", "stored_as_script", "client_options")
    place: ClassVar[str] = "S3"

    def __init__(
        self,
        bucket: str,
        key: str | None = None,
        stored_as_script: bool = False,
        local_script_path: str | None = None,
        client_options: Mapping[str, Any] | None = None,
        upload_options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.bucket = bucket
        self.key = key
        self.client_options = dict(client_options) if client_options is not None else None
        self.upload_options = dict(upload_options) if upload_options is not None else None
        super().__init__(local_script_path, stored_as_script, **kwargs)

    def default_result(self) -> "Result | None":
        """Return objects in the same bucket."""
        return self.result if self.result is not None else S3Result(self.bucket, boto3_kwargs=self.client_options)

    def store(self) -> ObjectStore:
        """Return the bucket."""
        return S3Objects(self.bucket, self.client_options)

    def _say_downloaded(self, store: ObjectStore, key: str) -> None:
        found = store.info(key) or {}
        self.logger.info(
            "Flow successfully downloaded. ETag: %s, LastModified: %s, VersionId: %s",
            found.get("ETag"),
            found.get("LastModified"),
            found.get("VersionId"),
        )
