"""Collections of tasks as tasks: what `[a, b]` or `{"k": a}` become when they are arguments of a task."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from prefect.core.task import Task

if TYPE_CHECKING:
    from prefect.core.flow import Flow

__all__ = ["Dict", "List", "Set", "Tuple"]


class _Variadic(Task):
    """Takes any number of positional arguments, as `arg_1`, `arg_2`, ..."""

    def bind(
        self,
        *args: Any,
        mapped: bool = False,
        upstream_tasks: Iterable[Any] | None = None,
        flow: "Flow | None" = None,
        **kwargs: Any,
    ) -> Any:
        """Make the arguments the members of the collection."""
        numbered = {f"arg_{number}": value for number, value in enumerate(args, start=1)}
        return super().bind(mapped=mapped, upstream_tasks=upstream_tasks, flow=flow, **numbered, **kwargs)

    @staticmethod
    def _members(arguments: dict[str, Any]) -> list[Any]:
        return [value for _, value in sorted(arguments.items(), key=lambda item: int(item[0].rpartition("_")[2]))]


class List(_Variadic):
    """Collects its inputs in a list."""

    def run(self, **task_results: Any) -> list[Any]:
        """Return the inputs in order."""
        return self._members(task_results)


class Tuple(_Variadic):
    """Collects its inputs in a tuple."""

    def run(self, **task_results: Any) -> Any:
        """Return the inputs in order."""
        return tuple(self._members(task_results))


class Set(_Variadic):
    """Collects its inputs in a set."""

    def run(self, **task_results: Any) -> set[Any]:
        """Return the inputs."""
        return set(self._members(task_results))


class Dict(Task):
    """Makes a dictionary of keys and values."""

    def run(self, keys: list[Any], values: list[Any]) -> dict[Any, Any]:
        """Return the dictionary; raises `ValueError` for different numbers of keys and values."""
        if len(keys) != len(values):
            raise ValueError("A different number of keys and values were provided!")
        return dict(zip(keys, values, strict=True))
