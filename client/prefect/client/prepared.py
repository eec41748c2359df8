"""A request on its way to a transport: the text of an operation, its name and its variables."""

from collections.abc import Mapping
from typing import Any

from prefect.client.encoding import dumps, loads

__all__ = ["Prepared"]


class Prepared:
    """What goes over the wire, as `payload`."""

    def __init__(self, document: str, operation_name: str | None, variables: Mapping[str, Any]) -> None:
        self.operation_name = operation_name
        self.variables = dict(variables)
        self.payload: dict[str, Any] = {"query": document, "variables": self.variables}
        if operation_name:
            self.payload["operationName"] = operation_name

    def simplified(self) -> "Prepared":
        """Return the same request with variables that the standard library can write as JSON."""
        return Prepared(self.payload["query"], self.operation_name, loads(dumps(self.variables)))
