"""Results that keep values somewhere: in files, in object stores, in the API's database, or not at all but by rule."""

from typing import TYPE_CHECKING

from prefect.utilities.importtools import lazy_attributes

if TYPE_CHECKING:
    from prefect.engine.results.azure_result import AzureResult
    from prefect.engine.results.constant_result import ConstantResult
    from prefect.engine.results.gcs_result import GCSResult
    from prefect.engine.results.local_result import LocalResult
    from prefect.engine.results.prefect_result import PrefectResult
    from prefect.engine.results.s3_result import S3Result
    from prefect.engine.results.secret_result import SecretResult

__all__ = [
    "AzureResult",
    "ConstantResult",
    "GCSResult",
    "LocalResult",
    "PrefectResult",
    "S3Result",
    "SecretResult",
]

__getattr__, __dir__ = lazy_attributes(
    "prefect.engine.results",
    {
        "AzureResult": "prefect.engine.results.azure_result",
        "ConstantResult": "prefect.engine.results.constant_result",
        "GCSResult": "prefect.engine.results.gcs_result",
        "LocalResult": "prefect.engine.results.local_result",
        "PrefectResult": "prefect.engine.results.prefect_result",
        "S3Result": "prefect.engine.results.s3_result",
        "SecretResult": "prefect.engine.results.secret_result",
    },
    (
        "azure_result",
        "constant_result",
        "gcs_result",
        "local_result",
        "prefect_result",
        "s3_result",
        "secret_result",
    ),
)
