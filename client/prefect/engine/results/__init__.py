"""Results that keep values somewhere: in files, in the API's database, or not at all but by rule."""

from typing import TYPE_CHECKING

from prefect.utilities.importtools import lazy_attributes

if TYPE_CHECKING:
    from prefect.engine.results.constant_result import ConstantResult
    from prefect.engine.results.local_result import LocalResult
    from prefect.engine.results.prefect_result import PrefectResult
    from prefect.engine.results.secret_result import SecretResult

__all__ = ["ConstantResult", "LocalResult", "PrefectResult", "SecretResult"]

__getattr__, __dir__ = lazy_attributes(
    "prefect.engine.results",
    {
        "ConstantResult": "prefect.engine.results.constant_result",
        "LocalResult": "prefect.engine.results.local_result",
        "PrefectResult": "prefect.engine.results.prefect_result",
        "SecretResult": "prefect.engine.results.secret_result",
    },
    ("constant_result", "local_result", "prefect_result", "secret_result"),
    absent=("AzureResult", "GCSResult", "S3Result"),
)
