"""Storages."""

from collections.abc import Mapping
from typing import Any

from prefect import storage as storages
from prefect._version import __version__
from prefect.storage.base import Storage

__all__ = ["storage_from_dict", "storage_to_dict"]


def storage_to_dict(storage: Storage) -> dict[str, Any]:
    """Return a storage as JSON-able data."""
    return {
        "type": type(storage).__name__,
        "flows": dict(storage.flows),
        "secrets": list(storage.secrets),
        **{name: getattr(storage, name) for name in storage.fields},
        "__version__": __version__,
    }


def storage_from_dict(data: Mapping[str, Any]) -> Storage:
    """Return the storage of JSON-able data; raises `ValueError` if its type is not known."""
    kind = str(data.get("type"))
    cls = getattr(storages, kind, None)
    if not (isinstance(cls, type) and issubclass(cls, Storage)):
        raise ValueError(f"There is no storage of type {kind!r}.")  # noqa: TRY004 - the data is wrong, not a type
    storage: Storage = cls.__new__(cls)
    # Constructors create directories and connect, which the reader need not be able to do.
    Storage.__init__(storage, secrets=data.get("secrets"), stored_as_script=bool(data.get("stored_as_script")))
    # What 1.x did not write yet is as if it had not been given.
    own = {name: data[name] for name in cls.fields if name in data}
    vars(storage).update({name: None for name in cls.fields if not hasattr(storage, name)} | own)
    storage.flows = dict(data.get("flows") or {})
    return storage
