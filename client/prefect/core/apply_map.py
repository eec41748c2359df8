"""Map a whole sub-graph: call a function once, then map every task that it added.

The tasks are built in a flow of their own kind of block, in which mapping is refused, and wired to the arguments
afterwards, so that all of them have as many children as the arguments have elements.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from prefect.core.edge import Edge
from prefect.core.parameter import Parameter
from prefect.core.signature import signature_of
from prefect.core.task import Task
from prefect.tasks.core.constants import Constant
from prefect.utilities.context import context
from prefect.utilities.edges import EdgeAnnotation, flatten, mapped, unmapped
from prefect.utilities.tasks import as_task

if TYPE_CHECKING:
    from prefect.core.flow import Flow

__all__ = ["apply_map"]


class _Argument:
    """What an argument of `apply_map` becomes: a task, and whether its elements or the whole go to each child."""

    def __init__(self, value: Any, flow: "Flow") -> None:
        if not isinstance(value, (Task, EdgeAnnotation, Sequence)):
            raise TypeError(f"Cannot map over non-sequence object of type `{type(value).__name__}`")
        self.annotations = dict(value.annotations) if isinstance(value, EdgeAnnotation) else {}
        self.mapped = self.annotations.get("mapped", True)
        self.flattened = self.annotations.get("flattened", False)
        self.task = as_task(value, flow=flow)
        # The function must not take the value of a mapped literal for a constant of every child.
        if not (isinstance(self.task, Constant) and not self.mapped):
            flow.add_task(self.task)

    @property
    def is_plain_constant(self) -> bool:
        return isinstance(self.task, Constant) and not self.mapped

    def annotated(self) -> Any:
        value: Any = self.task
        if self.flattened:
            value = flatten(value)
        return mapped(value) if self.mapped else unmapped(value)


def apply_map(func: Callable[..., Any], *args: Any, flow: "Flow | None" = None, **kwargs: Any) -> Any:
    """Return what `func` returns for the arguments, with everything that it adds to the flow mapped over them."""
    explicit = flow is not None
    found = flow if flow is not None else context.get("flow")
    if found is None:
        raise ValueError("Couldn't infer a flow in the current context")
    target: Flow = found
    if explicit and "flow" not in signature_of(func).parameters:
        raise TypeError(f"`{getattr(func, '__name__', func)}` must accept the keyword argument `flow`.")
    outer = {"case": context.get("case"), "resource": context.get("resource")}
    with context(case=None, resource=None):
        positional = [_Argument(value, target) for value in args]
        keyword = {name: _Argument(value, target) for name, value in kwargs.items()}
        arguments = [*positional, *keyword.values()]
        tasks_before, edges_before = set(target.tasks), set(target.edges)
        extra: dict[str, Any] = {"flow": target} if explicit else {}
        with context(mapped=True):
            answer = func(
                *(argument.task for argument in positional),
                **{name: argument.task for name, argument in keyword.items()},
                **extra,
            )
        new_tasks = [task for task in target.slugs if task not in tasks_before]
        _map_edges(target, set(target.edges) - edges_before, set(new_tasks), arguments)
        _map_constants(target, new_tasks, arguments)
        _tie_roots(target, new_tasks, arguments)
    for block in outer.values():
        for task in new_tasks:
            if block is not None and not isinstance(task, (Parameter, Constant)):
                block.add_task(task, target)
    return answer


def _map_edges(flow: "Flow", edges: set[Edge], new_tasks: set[Task], arguments: Sequence[_Argument]) -> None:
    """Map the new edges between new tasks and from mapped arguments; others come from outside and stay whole."""
    flags = {argument.task: argument for argument in arguments}
    for edge in edges:
        upstream = edge.upstream_task
        argument = flags.get(upstream)
        if argument is not None:
            is_mapped, is_flattened = argument.mapped, argument.flattened
        else:
            # A constant, or a collection that holds nothing of the sub-graph, is the same for every child.
            is_mapped = upstream in new_tasks and not isinstance(upstream, (Constant, Parameter))
            is_flattened = edge.flattened
        if (is_mapped, is_flattened) != (edge.mapped, edge.flattened):
            flow.edges.discard(edge)
            flow.edges.add(Edge(upstream, edge.downstream_task, edge.key, is_mapped, is_flattened))
    flow.forget_answers()


def _map_constants(flow: "Flow", new_tasks: Sequence[Task], arguments: Sequence[_Argument]) -> None:
    """Turn constants that are mapped arguments back into edges: they were literals with one element per child."""
    literals = [argument for argument in arguments if isinstance(argument.task, Constant) and argument.mapped]
    for task in new_tasks:
        for key, value in list(flow.constants.get(task, {}).items()):
            for argument in literals:
                if value is argument.task.value:  # type: ignore[attr-defined]  # of Constant
                    del flow.constants[task][key]
                    flow.edges.add(Edge(argument.task, task, key, True, argument.flattened))
                    break
    flow.forget_answers()


def _tie_roots(flow: "Flow", new_tasks: Sequence[Task], arguments: Sequence[_Argument]) -> None:
    """Let the first tasks of the sub-graph wait for every argument, so that all have the same number of children."""
    inside = set(new_tasks)
    for task in new_tasks:
        if isinstance(task, (Constant, Parameter)) or flow.upstream_tasks(task) & inside:
            continue
        known = flow.upstream_tasks(task)
        for argument in arguments:
            if not argument.is_plain_constant and argument.task not in known:
                flow.add_edge(argument.annotated(), task)
