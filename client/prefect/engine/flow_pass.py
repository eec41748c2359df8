"""One pass over the tasks of a flow: submit each with the states before it, and collect the states they end in.

The pass knows executors only by their protocol and never blocks on a task, but for the number of children of a mapped
one: the child at an index follows the children at that index before it, whatever their siblings do.  What an executor
raises is left to the flow runner.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from prefect.core.edge import Edge
from prefect.engine import mapping
from prefect.engine.result import Result
from prefect.engine.results.constant_result import ConstantResult
from prefect.engine.state import Failed, Mapped, Pending, State, Success
from prefect.tasks.core.constants import Constant
from prefect.utilities.context import context as prefect_context

if TYPE_CHECKING:
    from prefect.core.task import Task
    from prefect.engine.flow_runner import FlowRunner
    from prefect.executors import Executor

__all__ = ["FlowPass", "run_task"]

# What concerns the building of flows, and what is large and needed by few tasks.
_NOT_FOR_TASKS = frozenset({"_unused_task_tracker", "caches", "case", "flow", "mapped", "resource"})


def run_task(
    task: "Task",
    state: State | None,
    upstream_states: dict[Edge, State],
    context: dict[str, Any],
    flow_result: Result | None,
    task_runner_cls: Any,
    task_runner_state_handlers: Sequence[Callable[..., Any]] | None,
    upstream_mapped_states: dict[Edge, list[State]],
    is_mapped_parent: bool = False,
) -> State:
    """Run one task to a state; this is what executors execute in the end, wherever that is."""
    with prefect_context(context):
        for edge, children in upstream_mapped_states.items():
            upstream_states[edge] = mapping.attach_children(upstream_states[edge], children)
        runner = task_runner_cls(task=task, state_handlers=task_runner_state_handlers, flow_result=flow_result)
        end: State = runner.run(
            state=state, upstream_states=upstream_states, is_mapped_parent=is_mapped_parent, context=context
        )
        return end


@dataclass(slots=True, frozen=True)
class _Surroundings:
    """What all tasks of a pass have in common; executors get it once."""

    context: dict[str, Any]
    flow_result: Result | None
    task_runner_cls: Any
    task_runner_state_handlers: Sequence[Callable[..., Any]] | None

    def run(self, task: "Task", context: dict[str, Any], **kwargs: Any) -> State:
        return run_task(
            task=task,
            context={**self.context, **context},
            flow_result=self.flow_result,
            task_runner_cls=self.task_runner_cls,
            task_runner_state_handlers=self.task_runner_state_handlers,
            **kwargs,
        )


def _run_in(surroundings: _Surroundings, **kwargs: Any) -> State:
    return surroundings.run(**kwargs)


@dataclass(slots=True, frozen=True)
class _Siblings:
    """What all children of a mapped task have in common; executors get it once too."""

    surroundings: _Surroundings
    task: "Task"
    context: dict[str, Any]
    upstream_states: dict[Edge, Any]
    mapped_edges: list[Edge]

    def run(self, index: int, state: State | None, elements: list[State], context: dict[str, Any]) -> State:
        return self.surroundings.run(
            task=self.task,
            context={**self.context, **context, "map_index": index},
            state=state,
            upstream_states={**self.upstream_states, **dict(zip(self.mapped_edges, elements, strict=True))},
            upstream_mapped_states={},
        )


def _siblings(reduced: dict[Edge, list[State]], upstream_states: dict[Edge, Any], **kwargs: Any) -> _Siblings:
    for edge, children in reduced.items():
        upstream_states[edge] = mapping.attach_children(upstream_states[edge], children)
    return _Siblings(upstream_states=upstream_states, **kwargs)


def _run_child(
    siblings: _Siblings, index: int, state: State | None, elements: list[State], context: dict[str, Any]
) -> State:
    return siblings.run(index, state, elements, context)


@dataclass(slots=True)
class FlowPass:
    """The states (or futures of states) of a pass; `children` holds those of mapped tasks."""

    runner: "FlowRunner"
    executor: "Executor"
    states: dict["Task", Any]
    task_contexts: dict["Task", dict[str, Any]]
    task_runner_state_handlers: Sequence[Callable[..., Any]] | None = None
    children: dict["Task", list[Any]] = field(default_factory=dict)
    _surroundings: Any = None

    def run(self, wanted: set["Task"]) -> dict["Task", State]:
        """Run the tasks of the flow; returns the states of the wanted ones."""
        flow = self.runner.flow
        self._surroundings = self.executor.share(
            _Surroundings,
            context={key: value for key, value in prefect_context.__dict__.items() if key not in _NOT_FOR_TASKS},
            flow_result=flow.result,
            task_runner_cls=self.runner.task_runner_cls,
            task_runner_state_handlers=self.task_runner_state_handlers,
        )
        upstream_edges = flow.all_upstream_edges()
        uses = Counter(edge.upstream_task for edge in flow.edges)
        for task in flow.sorted_tasks():
            self._submit_task(task, upstream_edges[task])
            for edge in upstream_edges[task]:
                before = edge.upstream_task
                uses[before] -= 1
                if not uses[before] and before not in wanted:
                    # Nobody asks for it any more: a large value shall not live until the end of the run.
                    self.states.pop(before, None)
                    self.children.pop(before, None)
        return self._collect(wanted)

    def _submit_task(self, task: "Task", edges: Iterable[Edge]) -> None:
        state = self.states.get(task)
        if isinstance(task, Constant) and state is None:
            self.states[task] = Success(result=task.value)
            return
        if isinstance(state, State) and state.is_finished() and not state.is_cached():
            if _runs_again(task):
                state = self.states[task] = Pending("Task run restarted.")
            elif not state.is_mapped():
                return
        upstream, reduced = self._upstream_of(task, edges)
        if any(edge.mapped for edge in upstream):
            self._submit_mapped(task, state, upstream, reduced)
        else:
            self.states[task] = self._submit_run(task, state, upstream, reduced)

    def _upstream_of(self, task: "Task", edges: Iterable[Edge]) -> tuple[dict[Edge, Any], dict[Edge, Any]]:
        """Return the states before a task by edge, and for reduced mapped tasks those of their children."""
        upstream: dict[Edge, Any] = {}
        reduced: dict[Edge, Any] = {}
        for edge in edges:
            before = edge.upstream_task
            state = self.states.get(before)
            if state is None:
                state = Pending("Task state not available.")
            if before in self.children:
                if not edge.mapped:
                    reduced[edge] = self.children[before]
                    if edge.flattened:
                        reduced[edge] = self.executor.submit(mapping.flatten_children, reduced[edge])
            elif edge.flattened:
                state = self.executor.submit(mapping.flatten_state, state)
            upstream[edge] = state
        for key, value in self.runner.flow.constants.get(task, {}).items():
            constant = Edge(Constant(value=value), task, key)
            upstream[constant] = Success("Auto-generated constant value", result=ConstantResult(value=value))
        return upstream, reduced

    def _context_of(self, task: "Task") -> dict[str, Any]:
        context = dict(self.task_contexts.get(task, {}))
        if task.cache_for is not None:
            key = task.cache_key or task.name
            context["caches"] = {key: (prefect_context.get("caches") or {}).get(key, [])}
        return context

    def _submit_run(
        self,
        task: "Task",
        state: Any,
        upstream: dict[Edge, Any],
        reduced: dict[Edge, Any],
        is_mapped_parent: bool = False,
    ) -> Any:
        return self.executor.submit(
            _run_in,
            self._surroundings,
            task=task,
            context=self._context_of(task),
            state=state,
            upstream_states=upstream,
            upstream_mapped_states=reduced,
            is_mapped_parent=is_mapped_parent,
            extra_context={
                "task_name": task.name,
                "task_tags": task.tags,
                "task_index": None,
                "urgent": is_mapped_parent,
            },
        )

    def _submit_mapped(self, task: "Task", state: Any, upstream: dict[Edge, Any], reduced: dict[Edge, Any]) -> None:
        elements = self._elements(upstream)
        # Children of an earlier pass have states of their own to go on from.
        previous: list[Any] = []
        if isinstance(state, Mapped):
            previous = list(state.map_states)
            state = mapping.without_children(state)
        parent = self._wait_for(self._submit_run(task, state, dict(upstream), reduced, is_mapped_parent=True))
        self.states[task] = parent
        if not isinstance(parent, Mapped):
            return
        previous.extend([None] * (parent.n_map_states - len(previous)))
        known = self.runner.prepare_children(task, parent.n_map_states, self._context_of(task))
        siblings = self.executor.share(
            _siblings,
            surroundings=self._surroundings,
            task=task,
            context=self._context_of(task),
            upstream_states={edge: None if edge in elements else above for edge, above in upstream.items()},
            mapped_edges=list(elements),
            reduced=reduced,
        )
        self.children[task] = self.executor.submit_each(
            _run_child,
            (
                (
                    siblings,
                    index,
                    previous[index] if previous[index] is not None else known_state,
                    [element(index) for element in elements.values()],
                    known_context,
                )
                for index, (known_state, known_context) in enumerate(known)
            ),
            extra_context={"task_name": task.name, "task_tags": task.tags},
        )

    def _elements(self, upstream: dict[Edge, Any]) -> dict[Edge, Callable[[int], Any]]:
        """Return for every mapped edge what gives the state (or future) at an index; `upstream` gets its length."""
        elements: dict[Edge, Callable[[int], Any]] = {}
        for edge in [edge for edge in upstream if edge.mapped]:
            before = edge.upstream_task
            if before in self.children:
                children = self.children[before]
                if edge.flattened:
                    children = self.executor.wait(self.executor.submit(mapping.flatten_children, children))
                    upstream[edge] = Mapped(upstream[edge].message, n_map_states=len(children))
                elements[edge] = children.__getitem__
            else:
                upstream[edge] = self.runner.load_for_mapping(before, self._wait_for(upstream[edge]))
                elements[edge] = mapping.element_of(upstream[edge])
        return elements

    def _collect(self, tasks: Iterable["Task"]) -> dict["Task", State]:
        """Return the states of the tasks, those of mapped ones with their children, when all of them are there."""
        futures = {task: self.states.get(task, Pending("Task not evaluated by FlowRunner.")) for task in tasks}
        children = {task: self.children[task] for task in tasks if task in self.children}
        try:
            # One wait for all of it: an executor that begins now does not finish level by level.
            states, ends = self.executor.wait([futures, children])
        except Exception:
            # One task that its executor lost does not make the others unknown.
            states = {task: self._wait_for(future) for task, future in futures.items()}
            ends = {task: [self._wait_for(child) for child in of_task] for task, of_task in children.items()}
        return {
            task: mapping.attach_children(state, ends[task]) if task in ends else state
            for task, state in states.items()
        }

    def _wait_for(self, future: Any) -> State:
        """Return the state that a task ends in; Failed if its executor could not run it."""
        try:
            end: State = self.executor.wait(future)
        except Exception as error:
            if prefect_context.get("raise_on_exception"):
                raise
            message = f"The executor could not run this task: {error!r}"
            self.runner.logger.error(message)  # noqa: TRY400 - the traceback is that of the wait
            return Failed(message, result=error)
        return end


def _runs_again(task: "Task") -> bool:
    """Whether a finished task runs again on a later pass, because what it gives cannot be kept."""
    return getattr(task, "resource_role", None) in {"setup", "cleanup"} or bool(getattr(task, "is_secret", False))
