"""Small JSON values that travel inside the state itself: the location is the value."""

import json
from typing import Any

from prefect.engine.result.base import Result
from prefect.engine.serializers import DateTimeSerializer, JSONSerializer

__all__ = ["PrefectResult"]


class PrefectResult(Result):
    """Keeps a JSON value (or a date and time) as its own location; other serializers raise `TypeError`."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("serializer", JSONSerializer())
        if not isinstance(kwargs["serializer"], (JSONSerializer, DateTimeSerializer)):
            raise TypeError("PrefectResult only supports JSONSerializer or DateTimeSerializer")
        super().__init__(**kwargs)

    def read(self, location: str) -> Result:
        """Return a copy with the value that `location` spells."""
        new = self.copy()
        new.value = self.serializer.deserialize(location.encode())
        new.location = location
        return new

    def write(self, value_: Any, **kwargs: Any) -> Result:
        """Return a copy whose location spells the value; raises `TypeError` for what JSON cannot express."""
        new = self.copy()
        new.value = value_
        new.location = self.serializer.serialize(value_).decode()
        return new

    def exists(self, location: str, **kwargs: Any) -> bool:
        """Return whether `location` is JSON."""
        try:
            json.loads(location)
        except ValueError:
            return False
        return True
