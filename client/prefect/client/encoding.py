"""JSON for the wire: fast for what is JSON already, and for moments, UUIDs and mappings of any kind.

`dumps` raises `TypeError` naming the type of a value that has no JSON form.  Numbers that JSON does not have become
null; `check_finite` refuses them.
"""

import json
import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import orjson

from prefect.exceptions import ClientError

__all__ = ["check_finite", "dumps", "loads"]

loads = orjson.loads
_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_NAIVE_UTC


def _convert(value: Any) -> Any:
    if hasattr(value, "to_wire"):
        return value.to_wire()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (AbstractSet, bytearray)):
        return list(value)
    if hasattr(value, "isoformat"):  # datetimes of other libraries; their own are handled before
        return value.isoformat()
    raise TypeError(f"A value of type {type(value).__name__} cannot be sent as JSON: {value!r}")


def dumps(value: Any) -> bytes:
    """Return `value` as UTF-8 JSON; raises `TypeError` for what has no JSON form.

    Lone surrogates (as in the names of files that are no UTF-8) become U+FFFD: no API could read them.
    """
    try:
        return orjson.dumps(value, default=_convert, option=_OPTIONS)
    except TypeError as error:
        if isinstance(error.__cause__, TypeError):
            raise error.__cause__ from None
        # What orjson refuses but JSON has: integers beyond 64 bits, lone surrogates, deep subclasses of str.
        text = json.dumps(value, default=_convert, ensure_ascii=False)
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def check_finite(value: Any, place: str) -> None:
    """Raise `ClientError` for a number that JSON does not have, which would silently become null."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ClientError(f"{place} is {value}, which JSON cannot express; use None or a string instead.")
    if isinstance(value, Mapping):
        for key, item in value.items():
            check_finite(item, f"{place}[{key!r}]")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            check_finite(item, f"{place}[{index}]")
