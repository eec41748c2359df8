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


# Made where the JSON is read, so only for results that are there.
_LOADERS: dict[str, Callable[[Any, Mapping[str, Any]], Result]] = {
    "LocalResult": lambda cls, data: cls(dir=data.get("dir"), validate_dir=False, location=data.get("location")),
    "PrefectResult": lambda cls, data: cls(location=data.get("location")),
    "ConstantResult": lambda cls, data: cls(location=data.get("location")),
    "S3Result": lambda cls, data: cls(data.get("bucket"), location=data.get("location")),
    "GCSResult": lambda cls, data: cls(data.get("bucket"), location=data.get("location")),
    "AzureResult": lambda cls, data: cls(data.get("container"), location=data.get("location")),
}


def result_from_dict(data: Mapping[str, Any] | None) -> Result:
    """Return the result of JSON-able data; one of an unknown kind becomes a plain `Result` with the location."""
    kind = str(data.get("type")) if data else "NoResultType"
    if not data or kind == "NoResultType":
        return NoResult
    loader = _LOADERS.get(kind)
    if loader is None:
        return Result(location=data.get("location"))
    from prefect.engine import results  # noqa: PLC0415 - each kind is loaded when there is such a result

    return loader(getattr(results, kind), data)
