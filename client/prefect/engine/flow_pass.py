"""One pass over the tasks of a flow: submit each with the states before it, and collect the states they end in.

The pass knows executors only by their protocol and never blocks on a task, but for the number of children of a mapped
one.  What an executor raises is left to the flow runner.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from prefect.core.edge import Edge
from prefect.engine import mapping
from prefect.engine.result import Result
from prefect.engine.results.constant_result import ConstantResult
from prefect.engine.state import Mapped, Pending, State, Success
from prefect.tasks.core.constants import Constant
from prefect.utilities.context import context as prefect_context

if TYPE_CHECKING:
    from prefect.core.task import Task
    from prefect.engine.flow_runner import FlowRunner
    from prefect.executors import Executor

__all__ = ["FlowPass", "run_task"]


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
    """Run one task to a state; this is what executors execute, wherever that is."""
    with prefect_context(context):
        for edge, children in upstream_mapped_states.items():
            upstream_states[edge] = mapping.attach_children(upstream_states[edge], children)
        runner = task_runner_cls(task=task, state_handlers=task_runner_state_handlers, flow_result=flow_result)
        end: State = runner.run(
            state=state, upstream_states=upstream_states, is_mapped_parent=is_mapped_parent, context=context
        )
        return end


@dataclass(slots=True)
class FlowPass:
    """The states (or futures of states) of a pass; `children` holds those of mapped tasks."""

    runner: "FlowRunner"
    executor: "Executor"
    states: dict["Task", Any]
    task_contexts: dict["Task", dict[str, Any]]
    task_runner_state_handlers: Sequence[Callable[..., Any]] | None = None
    children: dict["Task", list[Any]] = field(default_factory=dict)

    def submit_tasks(self) -> None:
        """Submit every task that has something to do, in the order of the edges."""
        flow = self.runner.flow
        upstream_edges = flow.all_upstream_edges()
        base = dict(prefect_context.__dict__)
        for task in flow.sorted_tasks():
            state = self.states.get(task)
            if isinstance(task, Constant) and state is None:
                self.states[task] = Success(result=task.value)
                continue
            if isinstance(state, State) and state.is_finished() and not state.is_cached():
                if _runs_again(task):
                    state = self.states[task] = Pending("Task run restarted.")
                elif not state.is_mapped():
                    continue
            context = {**base, **self.task_contexts.get(task, {})}
            upstream, reduced = self._upstream_of(task, upstream_edges[task])
            if any(edge.mapped for edge in upstream):
                self._submit_mapped(task, state, upstream, reduced, context)
            else:
                self.states[task] = self._submit(task, state, upstream, reduced, context)

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

    def _submit(
        self,
        task: "Task",
        state: Any,
        upstream: dict[Edge, Any],
        reduced: dict[Edge, Any],
        context: dict[str, Any],
        index: int | None = None,
        is_mapped_parent: bool = False,
    ) -> Any:
        return self.executor.submit(
            run_task,
            task=task,
            state=state,
            upstream_states=upstream,
            context=context if index is None else {**context, "map_index": index},
            flow_result=self.runner.flow.result,
            task_runner_cls=self.runner.task_runner_cls,
            task_runner_state_handlers=self.task_runner_state_handlers,
            upstream_mapped_states=reduced,
            is_mapped_parent=is_mapped_parent,
            extra_context={"task_name": task.name, "task_tags": task.tags, "task_index": index},
        )

    def _submit_mapped(
        self,
        task: "Task",
        state: Any,
        upstream: dict[Edge, Any],
        reduced: dict[Edge, Any],
        context: dict[str, Any],
    ) -> None:
        elements: dict[Edge, list[Any]] = {}
        resolved = self.executor.wait(upstream)
        for edge in [edge for edge in resolved if edge.mapped and edge.upstream_task in self.children]:
            elements[edge] = self.children[edge.upstream_task]
            if edge.flattened:
                elements[edge] = mapping.flatten_children(self.executor.wait(elements[edge]))
                resolved[edge] = Mapped(resolved[edge].message, n_map_states=len(elements[edge]))
        # Children of an earlier pass have states of their own to go on from.
        previous = list(state.map_states) if isinstance(state, Mapped) else []
        parent = self.executor.wait(self._submit(task, state, dict(resolved), reduced, context, is_mapped_parent=True))
        self.states[task] = parent
        if not isinstance(parent, Mapped):
            return
        whole = {
            edge: self.runner.load_for_mapping(edge.upstream_task, resolved[edge])
            for edge in resolved
            if edge.mapped and edge not in elements
        }
        previous.extend([None] * (parent.n_map_states - len(previous)))
        children = []
        for index in range(parent.n_map_states):
            above = dict(resolved)
            for edge, states in elements.items():
                above[edge] = states[index]
            for edge, states_of_all in whole.items():
                above[edge] = mapping.element_state(states_of_all, index)
            children.append(self._submit(task, previous[index], above, reduced, context, index=index))
        self.children[task] = children

    def collect(self, tasks: Iterable["Task"]) -> dict["Task", State]:
        """Return the states of the tasks, those of mapped ones with their children, when all of them are there."""
        futures = {task: self.states.get(task, Pending("Task not evaluated by FlowRunner.")) for task in tasks}
        states: dict[Task, State] = self.executor.wait(futures)
        children = self.executor.wait({task: self.children[task] for task in tasks if task in self.children})
        for task, ends in children.items():
            state = states[task]
            if isinstance(state, Mapped):
                state.map_states = list(ends)
                state.result = [end.result for end in ends]
        return states


def _runs_again(task: "Task") -> bool:
    """Whether a finished task runs again on a later pass, because what it gives cannot be kept."""
    return getattr(task, "resource_role", None) in {"setup", "cleanup"} or bool(getattr(task, "is_secret", False))
