"""Results without their values: the class and the location."""

from collections.abc import Callable, Mapping
from typing import Any

from prefect._version import __version__
from prefect.engine.result import NoResult, NoResultType, Result
from prefect.serialization.functions import qualified_name

__all__ = ["result_from_dict", "result_to_dict"]

# What each class says besides its location.
_EXTRA: dict[str, tuple[str, ...]] = {
    "Result": (),
    "PrefectResult": (),
    "ConstantResult": (),
    "LocalResult": ("dir",),
    "S3Result": ("bucket",),
    "GCSResult": ("bucket",),
    "AzureResult": ("container",),
}


def result_to_dict(result: Result | None) -> dict[str, Any]:
    """Return a result as JSON-able data."""
    if result is None or isinstance(result, NoResultType):
        return {"type": "NoResultType", "__version__": __version__}
    kind = type(result).__name__
    location = result.location if isinstance(result.location, str) else None
    data: dict[str, Any] = {"location": location, "__version__": __version__}
    if kind == "SecretResult":
        data["secret_type"] = qualified_name(result.secret_type)  # type: ignore[attr-defined]  # of SecretResult
    elif kind in _EXTRA and type(result).__module__.startswith("prefect."):
        data |= {name: getattr(result, name, None) for name in _EXTRA[kind]}
    else:
        kind = "CustomResult"
        data["type"] = qualified_name(result)
        return {**data, "type": kind}
    return {"type": kind, **data}


def _local(data: Mapping[str, Any]) -> Result:
    from prefect.engine.results.local_result import LocalResult  # noqa: PLC0415 - only for such results

    return LocalResult(dir=data.get("dir"), validate_dir=False, location=data.get("location"))


def _prefect(data: Mapping[str, Any]) -> Result:
    from prefect.engine.results.prefect_result import PrefectResult  # noqa: PLC0415 - only for such results

    return PrefectResult(location=data.get("location"))


def _constant(data: Mapping[str, Any]) -> Result:
    from prefect.engine.results.constant_result import ConstantResult  # noqa: PLC0415 - only for such results

    return ConstantResult(location=data.get("location"))


_LOADERS: dict[str, Callable[[Mapping[str, Any]], Result]] = {
    "NoResultType": lambda _: NoResult,
    "LocalResult": _local,
    "PrefectResult": _prefect,
    "ConstantResult": _constant,
}


def result_from_dict(data: Mapping[str, Any] | None) -> Result:
    """Return the result of JSON-able data; one of an unknown kind becomes a plain `Result` with the location."""
    if not data:
        return NoResult
    loader = _LOADERS.get(str(data.get("type")))
    return loader(data) if loader is not None else Result(location=data.get("location"))
