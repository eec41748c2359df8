"""Values to bytes and back, for results.

What cannot be pickled raises `UnpicklableError`, which says what to do; anything else that cannot be serialised raises
the error of the library that does the work (`TypeError`, `ValueError`, ...).
"""

import base64
import binascii
import importlib
import json
import pickle
from collections.abc import Callable
from datetime import datetime
from typing import Any

import cloudpickle  # type: ignore[import-untyped]  # it has no type hints

from prefect.utilities.datetimes import as_datetime

__all__ = [
    "CompressedSerializer",
    "DateTimeSerializer",
    "JSONSerializer",
    "PandasSerializer",
    "PickleSerializer",
    "Serializer",
    "UnpicklableError",
]


class UnpicklableError(pickle.PicklingError, TypeError):
    """A value, or something in it, cannot be pickled (which for most things is a `TypeError` of Python's)."""


class Serializer:
    """The protocol: subclasses override both methods.  Serializers of one class are equal."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))

    def serialize(self, value: Any) -> bytes:
        """Return the bytes of a value."""
        raise NotImplementedError

    def deserialize(self, value: bytes) -> Any:
        """Return the value of bytes that `serialize` made."""
        raise NotImplementedError


class PickleSerializer(Serializer):
    """Pickles by cloudpickle, so that functions and classes of scripts travel too."""

    def serialize(self, value: Any) -> bytes:
        """Return the pickle of a value; raises `UnpicklableError` for what cannot be pickled."""
        try:
            pickled: bytes = cloudpickle.dumps(value)
        except Exception as error:
            raise UnpicklableError(
                f"A value of type {type(value).__name__!r} cannot be pickled: {error}. Return something that can be, "
                "give the result another serializer, or set `checkpoint=False` for the task."
            ) from error
        return pickled

    def deserialize(self, value: bytes) -> Any:
        """Return the pickled value; a pickle in base64 is accepted as well."""
        try:
            return cloudpickle.loads(value)
        except Exception as error:
            try:
                decoded = base64.b64decode(value, validate=True)
            except (binascii.Error, ValueError):
                raise error from None
            try:
                return cloudpickle.loads(decoded)
            except (pickle.UnpicklingError, EOFError, ValueError):
                raise error from None


class JSONSerializer(Serializer):
    """JSON in UTF-8."""

    def serialize(self, value: Any) -> bytes:
        """Return the JSON of a value; raises `TypeError` for what JSON cannot express."""
        return json.dumps(value).encode()

    def deserialize(self, value: bytes) -> Any:
        """Return the value of JSON bytes."""
        return json.loads(value)


class DateTimeSerializer(Serializer):
    """A date and time as ISO 8601."""

    def serialize(self, value: Any) -> bytes:
        """Return the ISO 8601 text of a datetime (or of the text of one); raises `ValueError` for anything else."""
        if not isinstance(value, (datetime, str)):
            raise ValueError(f"A DateTimeSerializer takes a datetime, or the text of one; got {value!r}.")  # noqa: TRY004 - the class of 1.x
        return as_datetime(value).to_iso8601_string().encode()

    def deserialize(self, value: bytes | str) -> Any:
        """Return the `pendulum.DateTime` of ISO 8601 text."""
        return as_datetime(value.decode() if isinstance(value, bytes) else value)


class PandasSerializer(Serializer):
    """A data frame in a format that pandas reads and writes: `file_type="csv"` uses `to_csv` and `read_csv`."""

    def __init__(
        self,
        file_type: str,
        deserialize_kwargs: dict[str, Any] | None = None,
        serialize_kwargs: dict[str, Any] | None = None,
    ) -> None:
        self.file_type = file_type
        self.deserialize_kwargs = deserialize_kwargs or {}
        self.serialize_kwargs = serialize_kwargs or {}

    def serialize(self, value: Any) -> bytes:
        """Return the frame in the format; raises `ValueError` for a format that frames cannot be written to."""
        import io  # noqa: PLC0415 - kept beside its only use

        method = getattr(value, f"to_{self.file_type}", None)
        if method is None:
            raise ValueError(f"Could not find serialization methods for {self.file_type}")
        try:
            buffer: Any = io.BytesIO()
            method(buffer, **self.serialize_kwargs)
            return bytes(buffer.getvalue())
        except TypeError:
            text = io.StringIO()
            method(text, **self.serialize_kwargs)
            return text.getvalue().encode()

    def deserialize(self, value: bytes) -> Any:
        """Return the frame; raises `ValueError` for a format that pandas cannot read."""
        import io  # noqa: PLC0415 - kept beside its only use

        pandas = importlib.import_module("pandas")
        method = getattr(pandas, f"read_{self.file_type}", None)
        if method is None:
            raise ValueError(f"Could not find deserialization methods for {self.file_type}")
        return method(io.BytesIO(value), **self.deserialize_kwargs)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), self.file_type))


def _compression(name: str) -> tuple[Callable[..., bytes], Callable[..., bytes]]:
    usual = "bz2, gzip, lzma or zlib"
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f"There is no compression module {name!r}; use {usual}, or install it.", name=name) from error
    try:
        return module.compress, module.decompress
    except AttributeError:
        raise ValueError(
            f"The module {name!r} has no functions `compress` and `decompress`; use {usual}, or pass the functions."
        ) from None


class CompressedSerializer(Serializer):
    """Compresses what another serializer makes, with a module (`format="zlib"`) or a pair of functions."""

    def __init__(
        self,
        serializer: Serializer,
        format: str | None = None,  # noqa: A002 - the name is part of the 1.x API
        compress: Callable[..., bytes] | None = None,
        decompress: Callable[..., bytes] | None = None,
        compress_kwargs: dict[str, Any] | None = None,
        decompress_kwargs: dict[str, Any] | None = None,
    ) -> None:
        functions = compress is not None and decompress is not None
        if (format is None) == (not functions) or (not functions and (compress or decompress)):
            raise ValueError("You must specify either `format` or `compress`/`decompress`, and not both.")
        if format is not None:
            compress, decompress = _compression(format)
        self._serializer = serializer
        self._compress: Any = compress
        self._decompress: Any = decompress
        self._compress_kwargs = compress_kwargs or {}
        self._decompress_kwargs = decompress_kwargs or {}

    def serialize(self, value: Any) -> bytes:
        """Return the compressed bytes of a value."""
        return bytes(self._compress(self._serializer.serialize(value), **self._compress_kwargs))

    def deserialize(self, value: bytes) -> Any:
        """Return the value of compressed bytes."""
        return self._serializer.deserialize(self._decompress(value, **self._decompress_kwargs))

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), self._serializer))
