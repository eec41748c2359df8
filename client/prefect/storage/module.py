"""Flows in importable modules: where they run, the module is imported."""

from typing import TYPE_CHECKING, Any, ClassVar

from prefect.storage.base import Storage
from prefect.utilities.storage import extract_flow_from_module

if TYPE_CHECKING:
    from prefect.core.flow import Flow

__all__ = ["Module"]


class Module(Storage):
    """Finds flows in `module`: `package.module`, or `package.module:attribute`."""

    fields: ClassVar[tuple[str, ...]] = ("module",)

    def __init__(self, module: str, **kwargs: Any) -> None:
        self.module = module
        kwargs.setdefault("stored_as_script", True)
        super().__init__(**kwargs)

    def add_flow(self, flow: "Flow") -> str:
        """Note that the module has the flow; returns the module's name."""
        self._refuse_second(flow)
        self.flows[flow.name] = self.module
        self._flows[flow.name] = flow
        return self.module

    def get_flow(self, flow_name: str) -> "Flow":
        """Import the module and return its flow of that name."""
        return extract_flow_from_module(self._location(flow_name), flow_name)
