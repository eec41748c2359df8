"""Results that keep values somewhere: in files, in the API's database, or not at all but by rule."""

from prefect.utilities.importtools import lazy_attributes

__getattr__, __dir__ = lazy_attributes(
    "prefect.engine.results",
    {
        "ConstantResult": "prefect.engine.results.constant_result",
        "LocalResult": "prefect.engine.results.local_result",
        "PrefectResult": "prefect.engine.results.prefect_result",
        "SecretResult": "prefect.engine.results.secret_result",
    },
    ("constant_result", "local_result", "prefect_result", "secret_result"),
)
