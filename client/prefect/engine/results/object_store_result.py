"""What results in object stores share: a value is one object, its location the object's key.

What the store refuses is logged and raised as the store's library raises it.
"""

from collections.abc import Mapping
from typing import Any

from prefect.engine.result.base import Result
from prefect.utilities.object_stores import ObjectStore

__all__ = ["ObjectStoreResult"]


class ObjectStoreResult(Result):
    """The base of results in object stores; a kind says which `store`, and with which options it uploads."""

    def __init__(self, store: ObjectStore, upload_options: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        self._store = store
        self.upload_options = dict(upload_options) if upload_options is not None else None
        super().__init__(**kwargs)

    def read(self, location: str) -> Result:
        """Return a copy with the value of the object; an empty one holds None.

        Raises `FileNotFoundError` if there is no such object, and what the store and the serializer raise.
        """
        new = self.copy()
        new.location = location
        self.logger.debug("Starting to download result from %s...", location)
        try:
            data = self._store.read(location)
            new.value = self.serializer.deserialize(data) if data else None
        except Exception as error:
            self.logger.exception(f"Unexpected error while reading from result handler: {error!r}")  # noqa: TRY401 - the text is that of 1.x
            raise
        self.logger.debug("Finished downloading result from %s.", location)
        return new

    def write(self, value_: Any, **kwargs: Any) -> Result:
        """Keep the value in the object named by the location filled in with `kwargs`; return the copy that says so."""
        new = self.format(**kwargs)
        new.value = value_
        self.logger.debug("Starting to upload result to %s...", new.location)
        self._store.write(new.location, self.serializer.serialize(value_), self.upload_options)
        self.logger.debug("Finished uploading result to %s.", new.location)
        return new

    def exists(self, location: str, **kwargs: Any) -> bool:
        """Return whether there is an object at the location filled in with `kwargs`; raises what the store raises."""
        return self._store.info(location.format(**kwargs)) is not None
