"""A dependency between two tasks of a flow."""

from typing import TYPE_CHECKING, Any

from prefect.utilities.edges import EdgeAnnotation

if TYPE_CHECKING:
    from prefect.core.task import Task

__all__ = ["Edge"]


class Edge:
    """Says that `downstream_task` runs after `upstream_task`, and with `key` that it takes its result as that argument.

    `mapped` runs the downstream task once per element, `flattened` removes one level of nesting first; annotations
    around either task override both.  Edges are immutable values.  Raises `ValueError` for an edge from a task to
    itself and for a key that is no identifier.
    """

    __slots__ = ("_hash", "downstream_task", "flattened", "key", "mapped", "upstream_task")

    def __init__(
        self,
        upstream_task: Any,
        downstream_task: Any,
        key: str | None = None,
        mapped: bool | None = None,
        flattened: bool | None = None,
        flow: Any = None,
    ) -> None:
        flags = {"mapped": bool(mapped), "flattened": bool(flattened)}
        for end in (upstream_task, downstream_task):
            if isinstance(end, EdgeAnnotation):
                flags.update(end.annotations)
        self.upstream_task = _task(upstream_task, flow)
        self.downstream_task = _task(downstream_task, flow)
        self.mapped = flags["mapped"]
        self.flattened = flags["flattened"]
        self.key = key
        if self.upstream_task is self.downstream_task:
            raise ValueError("Edges can not connect a task to itself.")
        if key is not None and not str(key).isidentifier():
            raise ValueError(f'Key must be a valid identifier (received "{key}")')
        self._hash = hash((self.upstream_task, self.downstream_task, key, self.mapped, self.flattened))

    @property
    def tasks(self) -> "set[Task]":
        """Both ends."""
        return {self.upstream_task, self.downstream_task}

    def _contents(self) -> tuple[Any, ...]:
        return (self.upstream_task, self.downstream_task, self.key, self.mapped, self.flattened)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Edge) and self._contents() == other._contents()

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restore, self._contents())

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__}(key={self.key}, mapped={self.mapped}, flattened={self.flattened}): "
            f"{self.upstream_task.name} to {self.downstream_task.name}>"
        )

    def serialize(self) -> dict[str, Any]:
        """Return the edge as JSON-able data."""
        from prefect.serialization.flow import edge_to_dict  # noqa: PLC0415 - serialization knows the whole graph

        return edge_to_dict(self, {})


def _restore(upstream_task: Any, downstream_task: Any, key: str | None, mapped: bool, flattened: bool) -> Edge:
    edge = Edge.__new__(Edge)
    edge.upstream_task, edge.downstream_task, edge.key = upstream_task, downstream_task, key
    edge.mapped, edge.flattened = mapped, flattened
    # Hashes of tasks are identities, which are others in the process that unpickles.
    edge._hash = hash((upstream_task, downstream_task, key, mapped, flattened))  # noqa: SLF001 - of this module
    return edge


def _task(value: Any, flow: Any) -> "Task":
    from prefect.core.task import Task  # noqa: PLC0415 - tasks make edges

    if isinstance(value, Task):
        return value
    from prefect.utilities.tasks import as_task  # noqa: PLC0415 - as above

    return as_task(value, flow=flow)
