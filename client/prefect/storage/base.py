"""The protocol of storages.

A storage takes flows while they are registered (`add_flow`, `build`) and gives them back by name where they run
(`get_flow`).  A name that it does not have raises `ValueError`; what cannot be loaded raises `FlowStorageError`.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from prefect.configuration import config
from prefect.utilities.logging import get_logger

if TYPE_CHECKING:
    import logging

    from prefect.core.flow import Flow
    from prefect.engine.result import Result

__all__ = ["Storage", "get_default_storage_class"]


def get_default_storage_class() -> Any:
    """Return the class that `flows.defaults.storage.default_class` names, `Local` by default."""
    from prefect.engine.defaults import resolve_class  # noqa: PLC0415 - most storages are made by name

    return resolve_class(config.flows.defaults.storage.default_class, "prefect.storage.Local")


class Storage:
    """The base of storages.

    `flows` maps names to locations; `secrets` names what has to be in `prefect.context.secrets` before a flow is
    loaded; `result` is the default for flows without one.  `fields` names what a kind adds, for serialization.
    """

    fields: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        result: "Result | None" = None,
        secrets: Iterable[str] | None = None,
        labels: Iterable[str] | None = None,
        add_default_labels: bool | None = None,
        stored_as_script: bool = False,
    ) -> None:
        self.result = result
        self.secrets = list(secrets or ())
        self.stored_as_script = stored_as_script
        self.flows: dict[str, str] = {}
        self._flows: dict[str, Flow] = {}
        self._labels = list(labels or ())
        default = config.flows.defaults.storage.add_default_labels
        self.add_default_labels = default if add_default_labels is None else add_default_labels

    @property
    def name(self) -> str:
        """A name for people; the class name unless a kind has a better one."""
        return type(self).__name__

    @property
    def logger(self) -> "logging.Logger":
        """The logger `prefect.{class name}`."""
        return get_logger(type(self).__name__)

    @property
    def default_labels(self) -> list[str]:
        """Labels that flows in this storage need to find an agent that can load them."""
        return []

    @property
    def labels(self) -> list[str]:
        """The labels given to the constructor, and the default ones if they are wanted."""
        return sorted({*self._labels, *(self.default_labels if self.add_default_labels else ())})

    def __contains__(self, name: object) -> bool:
        return name in self.flows

    def default_result(self) -> "Result | None":
        """Return where flows from this storage keep values, if neither they nor the storage say."""
        return self.result

    def _refuse_second(self, flow: "Flow") -> None:
        if flow.name in self.flows:
            raise ValueError(f'Name conflict: Flow with the name "{flow.name}" is already present in this storage.')

    def _location(self, flow_name: str) -> str:
        if flow_name not in self.flows:
            raise ValueError("Flow is not contained in this Storage")
        return self.flows[flow_name]

    def add_flow(self, flow: "Flow") -> str:
        """Take a flow and return its location; raises `ValueError` if there is one of that name already."""
        raise NotImplementedError

    def get_flow(self, flow_name: str) -> "Flow":
        """Return the flow of that name; raises `ValueError` if there is none."""
        raise NotImplementedError

    def build(self) -> "Storage":
        """Put the flows where they can be loaded from; returns the storage to serialize."""
        return self

    def serialize(self) -> dict[str, Any]:
        """Return the storage as JSON-able data."""
        from prefect.serialization.storage import storage_to_dict  # noqa: PLC0415 - it knows all kinds

        return storage_to_dict(self)

    def __repr__(self) -> str:
        return f"<Storage: {type(self).__name__}>"
