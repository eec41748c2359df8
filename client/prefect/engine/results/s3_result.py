"""Values as objects of Amazon S3."""

from collections.abc import Mapping
from typing import Any

from prefect.engine.results.object_store_result import ObjectStoreResult
from prefect.utilities.object_stores import S3Objects

__all__ = ["S3Result"]


class S3Result(ObjectStoreResult):
    """Keeps values in an S3 bucket.

    `boto3_kwargs` are those of `boto3.client("s3", ...)`; without credentials among them, the secret `AWS_CREDENTIALS`
    and then AWS's own places are used.  `upload_options` are those of S3's `PutObject`, such as
    `{"ServerSideEncryption": "AES256"}`.  Using it raises `ImportError` without the extra `aws`.
    """

    def __init__(
        self,
        bucket: str,
        boto3_kwargs: Mapping[str, Any] | None = None,
        upload_options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.bucket = bucket
        self.boto3_kwargs = dict(boto3_kwargs or {})
        super().__init__(S3Objects(bucket, self.boto3_kwargs), upload_options, **kwargs)
