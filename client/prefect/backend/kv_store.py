"""The key-value store of the API: small JSON values that flows share between runs.

Raises `ValueError` for a key that is not there and for a value that is too large, and what `prefect.Client` raises.
"""

import json
from typing import Any

from prefect._generated import operations as ops
from prefect.client import Client

__all__ = ["delete_key", "get_key_value", "list_keys", "set_key_value"]

_LONGEST_VALUE = 10_000


def set_key_value(key: str, value: Any) -> str:
    """Store a value (at most 10,000 characters of JSON) under a key, in place of what was there; returns its id."""
    if len(json.dumps(value)) > _LONGEST_VALUE:
        raise ValueError("Value payload exceedes 10 KB limit.")
    return Client().execute(ops.set_key_value(key=key, value=value)).id


def get_key_value(key: str) -> Any:
    """Return the value of a key."""
    found = Client().execute(ops.key_value(key=key))
    if not found:
        raise ValueError(f"No value found for key: {key}")
    return found[0].value


def delete_key(key: str) -> bool:
    """Delete a key and its value; returns whether it was there to the end."""
    client = Client()
    found = client.execute(ops.key_value(key=key))
    if not found:
        raise ValueError(f"No key {key} found to delete")
    return bool(client.execute(ops.delete_key_value(key_value_id=found[0].id)).success)


def list_keys() -> list[str]:
    """Return all keys in alphabetical order."""
    return sorted(item.key for item in Client().execute(ops.list_keys()))
