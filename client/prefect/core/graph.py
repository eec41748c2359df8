"""The graph of a flow: tasks, edges, constants, slugs, and questions about them.

Building keeps three containers; every answer is computed from them in time linear in the size of the graph and kept
until the graph changes.  Mistakes raise `TypeError` or `ValueError` naming the task and the flow.
"""

import heapq
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from prefect.configuration import config
from prefect.core.edge import Edge
from prefect.core.parameter import Parameter
from prefect.core.signature import split_arguments
from prefect.core.task import Task
from prefect.tasks.core.constants import Constant
from prefect.utilities.context import context
from prefect.utilities.edges import unmapped
from prefect.utilities.tasks import as_task

__all__ = ["Graph"]

T = TypeVar("T")


def _slug_taken(task: Task) -> ValueError:
    error = ValueError(f'A task with the slug "{task.slug}" already exists in this flow.')
    error.add_note(
        "Use one Parameter of a name everywhere in the flow, or let `merge_parameters=True` join those of two flows."
        if isinstance(task, Parameter)
        else 'Give one of the two another slug: `task(..., task_args={"slug": "another"})`.'
    )
    return error


class Graph:
    """Tasks and the edges between them; the part of `Flow` that knows no runs."""

    name: str

    def __init__(self) -> None:
        self.tasks: set[Task] = set()
        self.edges: set[Edge] = set()
        self.slugs: dict[Task, str] = {}
        self.constants: dict[Task, dict[str, Any]] = {}
        self._slug_counts: Counter[str] = Counter()
        self._used_slugs: set[str] = set()
        self._reference_tasks: set[Task] = set()
        self._answers: dict[str, Any] = {}

    # -- building ------------------------------------------------------------------------------------------------

    def add_task(self, task: Task) -> Task:
        """Add a task unless it is there already; returns it.

        Raises `TypeError` for what is no task and `ValueError` if its explicit slug is taken.
        """
        if not isinstance(task, Task):
            raise TypeError(f"Tasks must be Task instances (received {type(task)})")
        if task in self.tasks:
            return task
        if task.slug and task.slug in self._used_slugs:
            raise _slug_taken(task)
        self.slugs[task] = self._make_slug(task)
        self._used_slugs.add(self.slugs[task])
        self.tasks.add(task)
        self._answers.clear()
        if not isinstance(task, (Parameter, Constant)):
            for block in (context.get("case"), context.get("resource")):
                if block is not None:
                    block.add_task(task, self)
        return task

    def _make_slug(self, task: Task) -> str:
        if task.slug:
            return task.slug
        prefix = "-".join([task.name, *sorted(task.tags)])
        while True:
            self._slug_counts[prefix] += 1
            slug = f"{prefix}-{self._slug_counts[prefix]}"
            if slug not in self._used_slugs:
                return slug

    def add_edge(
        self,
        upstream_task: Any,
        downstream_task: Any,
        key: str | None = None,
        mapped: bool = False,
        flattened: bool = False,
        validate: bool | None = None,
    ) -> Edge:
        """Let one task run after another, or take its result as the argument `key`; adds both to the flow.

        A constant given to an argument is kept in `constants` instead.  Raises `ValueError` for a parameter that is to
        run after another task, and with `validate` for what would fail only at run time.
        """
        if validate is None:
            validate = config.flows.eager_edge_validation
        edge = Edge(upstream_task, downstream_task, key, mapped, flattened, flow=self)
        upstream, downstream = edge.upstream_task, edge.downstream_task
        if isinstance(downstream, Parameter):
            raise ValueError("Parameters must be root tasks and can not have upstream dependencies.")  # noqa: TRY004 - the type of 1.x
        if edge.mapped and context.get("mapped"):
            raise ValueError("Cannot set `mapped=True` when running from inside a mapped context")
        self.add_task(downstream)
        if validate and key is not None:
            self._check_key(edge)
        if isinstance(upstream, Constant) and key is not None and not (edge.mapped or edge.flattened):
            self.constants.setdefault(downstream, {})[key] = upstream.value
        else:
            self.add_task(upstream)
            self.edges.add(edge)
        self._answers.clear()
        if validate:
            self.validate()
        return edge

    def _check_key(self, edge: Edge) -> None:
        task = edge.downstream_task
        taken = {other.key for other in self.edges_to(task)} | set(self.constants.get(task, ()))
        if edge.key in taken:
            raise ValueError(
                f'Argument "{edge.key}" for task {task} has already been assigned in this flow. If you are trying to '
                "call the task again with new arguments, call Task.copy() before adding the result to this flow."
            )
        keywords = {name: None for name in {*taken, edge.key} if name is not None}
        signature = task._signature  # noqa: SLF001 - the graph and its tasks are one part
        for name, parameter in signature.parameters.items():
            # Arguments that later calls may still bind must not fail this check.
            if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD:
                keywords.setdefault(name, None)
        dict(split_arguments(signature, **keywords))

    def chain(self, *tasks: Any, validate: bool | None = None) -> list[Edge]:
        """Let the tasks run one after the other; returns the new edges."""
        return [self.add_edge(a, b, validate=validate) for a, b in itertools.pairwise(tasks)]

    def set_dependencies(
        self,
        task: Any,
        upstream_tasks: Iterable[Any] | None = None,
        downstream_tasks: Iterable[Any] | None = None,
        keyword_tasks: Mapping[str, Any] | None = None,
        mapped: bool = False,
        validate: bool | None = None,
    ) -> None:
        """Add a task and its dependencies; `mapped` concerns what is before it, except `unmapped(...)`."""
        task = as_task(task, flow=self)  # type: ignore[arg-type]  # Graph is only used as Flow
        self.add_task(task)
        for upstream in upstream_tasks or ():
            self.add_edge(upstream, task, mapped=mapped and not isinstance(upstream, unmapped), validate=validate)
        for downstream in downstream_tasks or ():
            self.add_edge(task, downstream, validate=validate)
        for key, value in (keyword_tasks or {}).items():
            self.add_edge(value, task, key, mapped=mapped and not isinstance(value, unmapped), validate=validate)

    def set_reference_tasks(self, tasks: Iterable[Task]) -> None:
        """Let these tasks decide the state of a run; none means the terminal tasks do.

        Raises `ValueError` for a task that is not in the flow.
        """
        chosen = set(tasks)
        if not chosen <= self.tasks:
            raise ValueError("reference tasks must be part of the flow.")
        self._reference_tasks = chosen
        self._answers.clear()

    # -- answers -------------------------------------------------------------------------------------------------

    def _answer(self, question: str, compute: Callable[[], T]) -> T:
        # The sizes catch scripts that change the public containers themselves.
        key = f"{question}/{len(self.tasks)}/{len(self.edges)}"
        if key not in self._answers:
            self._answers[key] = compute()
        answer: T = self._answers[key]
        return answer

    def forget_answers(self) -> None:
        """Compute every answer anew, after the public containers were changed directly."""
        self._answers.clear()

    def _require(self, task: Task) -> None:
        if task not in self.tasks:
            raise ValueError(f"Task {task} was not found in Flow {self}")

    def all_upstream_edges(self) -> dict[Task, set[Edge]]:
        """Return the edges into each task."""
        return self._answer("upstream", lambda: self._group(lambda edge: edge.downstream_task))

    def all_downstream_edges(self) -> dict[Task, set[Edge]]:
        """Return the edges out of each task."""
        return self._answer("downstream", lambda: self._group(lambda edge: edge.upstream_task))

    def _group(self, end: Callable[[Edge], Task]) -> dict[Task, set[Edge]]:
        groups: dict[Task, set[Edge]] = {task: set() for task in self.tasks}
        for edge in self.edges:
            # An end that is not in the flow is for `validate` to report.
            groups.setdefault(end(edge), set()).add(edge)
        return groups

    def has_edges(self, task: Task) -> bool:
        """Return whether the task has dependencies in either direction; constant inputs are none."""
        return bool(self.edges_to(task) or self.edges_from(task))

    def edges_to(self, task: Task) -> set[Edge]:
        """Return the edges into a task."""
        self._require(task)
        return set(self.all_upstream_edges()[task])

    def edges_from(self, task: Task) -> set[Edge]:
        """Return the edges out of a task."""
        self._require(task)
        return set(self.all_downstream_edges()[task])

    def upstream_tasks(self, task: Task) -> set[Task]:
        """Return the tasks directly before a task."""
        return {edge.upstream_task for edge in self.edges_to(task)}

    def downstream_tasks(self, task: Task) -> set[Task]:
        """Return the tasks directly after a task."""
        return {edge.downstream_task for edge in self.edges_from(task)}

    def root_tasks(self) -> set[Task]:
        """Return the tasks with nothing before them."""
        return {task for task, edges in self.all_upstream_edges().items() if not edges}

    def terminal_tasks(self) -> set[Task]:
        """Return the tasks with nothing after them."""
        return {task for task, edges in self.all_downstream_edges().items() if not edges}

    def reference_tasks(self) -> set[Task]:
        """Return the tasks that decide the state of a run: those that were set, else the terminal ones.

        What sets up and cleans up resources never decides by default.
        """
        if self._reference_tasks:
            return set(self._reference_tasks)
        return set(self._answer("reference", self._default_reference_tasks))

    def _default_reference_tasks(self) -> set[Task]:
        def role(task: Task) -> str | None:
            found: str | None = getattr(task, "resource_role", None)
            return found

        return {
            task
            for task, edges in self.all_downstream_edges().items()
            if role(task) not in {"init", "cleanup"} and all(role(edge.downstream_task) == "cleanup" for edge in edges)
        }

    def parameters(self) -> set[Parameter]:
        """Return the flow's parameters."""
        return {task for task in self.tasks if isinstance(task, Parameter)}

    def get_tasks(
        self,
        name: str | None = None,
        slug: str | None = None,
        tags: Iterable[str] | None = None,
        task_type: type[Task] | None = None,
    ) -> list[Task]:
        """Return the tasks that fit every given filter; `tags` must all be on the task."""
        wanted = set(tags or ())

        def fits(task: Task) -> bool:
            return (
                (name is None or task.name == name)
                and (slug is None or task.slug == slug)
                and wanted <= task.tags
                and (task_type is None or isinstance(task, task_type))
            )

        return [task for task in self.slugs if fits(task)]

    def sorted_tasks(self, root_tasks: Iterable[Task] | None = None) -> tuple[Task, ...]:
        """Return the tasks in an order that respects the edges; with `root_tasks`, those and everything after them.

        Tasks that the edges do not order come as they were added.  Raises `ValueError` if there is a cycle.
        """
        if root_tasks is None:
            return self._answer("sorted", self._sort)
        wanted = set(root_tasks)
        pending = list(wanted)
        while pending:
            for task in self.downstream_tasks(pending.pop()):
                if task not in wanted:
                    wanted.add(task)
                    pending.append(task)
        return tuple(task for task in self.sorted_tasks() if task in wanted)

    def _sort(self) -> tuple[Task, ...]:
        position = {task: number for number, task in enumerate(self.slugs)}
        by_position = list(self.slugs)
        downstream = self.all_downstream_edges()
        waiting = {task: len(edges) for task, edges in self.all_upstream_edges().items()}
        ready = [position[task] for task, count in waiting.items() if count == 0]
        heapq.heapify(ready)
        ordered = []
        while ready:
            task = by_position[heapq.heappop(ready)]
            ordered.append(task)
            for edge in downstream[task]:
                waiting[edge.downstream_task] -= 1
                if waiting[edge.downstream_task] == 0:
                    heapq.heappush(ready, position[edge.downstream_task])
        if len(ordered) != len(self.tasks):
            error = ValueError("Cycle found; flows must be acyclic!")
            cycle = self._cycle({task for task, count in waiting.items() if count})
            error.add_note(f"These tasks wait for each other: {' -> '.join(self.slugs[task] for task in cycle)}.")
            raise error
        return tuple(ordered)

    def _cycle(self, stuck: set[Task]) -> list[Task]:
        """Return a cycle among tasks that each wait for another of them; its first task is its last, too."""
        task = min(stuck, key=lambda task: self.slugs[task])
        path = [task]
        while True:
            task = next(edge.upstream_task for edge in self.all_upstream_edges()[task] if edge.upstream_task in stuck)
            path.append(task)
            if task in path[:-1]:
                return path[path.index(task) :][::-1]

    def validate(self) -> None:
        """Raise `ValueError` for edges or reference tasks that are not in the flow, and for a cycle."""
        if any(not edge.tasks <= self.tasks for edge in self.edges):
            raise ValueError("Some edges refer to tasks not contained in this flow.")
        self.sorted_tasks()
        if not self._reference_tasks <= self.tasks:
            raise ValueError("Some reference tasks are not contained in this flow.")

    def __iter__(self) -> Iterator[Task]:
        return iter(self.sorted_tasks())

    # -- changing ------------------------------------------------------------------------------------------------

    def _rename_slug(self, task: Task, old: Task) -> None:
        slug = self.slugs.pop(old)
        if task.slug and task.slug != slug:
            if task.slug in self._used_slugs:
                raise _slug_taken(task)
            self._used_slugs.discard(slug)
            slug = task.slug
            self._used_slugs.add(slug)
        self.slugs[task] = slug

    def replace(self, old: Task, new: Any, validate: bool = True) -> None:
        """Put a task in the place of another, with its edges and its role as a reference task."""
        self._require(old)
        new = as_task(new, flow=self)  # type: ignore[arg-type]  # Graph is only used as Flow
        affected = self.edges_to(old) | self.edges_from(old)
        self.tasks.discard(old)
        if new not in self.tasks:
            order = list(self.slugs)
            self._rename_slug(new, old)
            # The new task takes the old one's place in the order of addition too.
            self.slugs = {(new if task is old else task): self.slugs[new if task is old else task] for task in order}
            self.tasks.add(new)
        else:
            self._used_slugs.discard(self.slugs.pop(old))
        if old in self.constants:
            self.constants.setdefault(new, {}).update(self.constants.pop(old))
        if old in self._reference_tasks:
            self._reference_tasks = (self._reference_tasks - {old}) | {new}
        for edge in affected:
            self.edges.discard(edge)
            self.edges.add(
                Edge(
                    new if edge.upstream_task is old else edge.upstream_task,
                    new if edge.downstream_task is old else edge.downstream_task,
                    edge.key,
                    edge.mapped,
                    edge.flattened,
                )
            )
        self._answers.clear()
        if validate:
            self.validate()

    def update(
        self,
        flow: "Graph",
        merge_parameters: bool = False,
        validate: bool | None = None,
        merge_reference_tasks: bool = False,
    ) -> None:
        """Add everything of another flow; with `merge_parameters` its parameters replace those of the same name.

        Raises `ValueError` for parameters of one name in both flows otherwise.
        """
        own = {parameter.name: parameter for parameter in self.parameters()}
        for task in flow.slugs:
            if task in self.tasks:
                continue
            if merge_parameters and isinstance(task, Parameter) and task.name in own:
                self.replace(own[task.name], task, validate=False)
            else:
                self.add_task(task)
        for edge in flow.edges:
            if edge not in self.edges:
                self.add_edge(
                    edge.upstream_task, edge.downstream_task, edge.key, edge.mapped, edge.flattened, validate=validate
                )
        for task, constants in flow.constants.items():
            self.constants.setdefault(task, {}).update(constants)
        if merge_reference_tasks:
            self.set_reference_tasks(self.reference_tasks() | flow.reference_tasks())
        self._answers.clear()
        if merge_parameters:
            self.validate()

    def _copy_graph_to(self, new: "Graph") -> None:
        new.tasks = set(self.tasks)
        new.edges = set(self.edges)
        new.slugs = dict(self.slugs)
        new.constants = {task: dict(values) for task, values in self.constants.items()}
        new._slug_counts = Counter(self._slug_counts)  # noqa: SLF001 - the same class
        new._used_slugs = set(self._used_slugs)  # noqa: SLF001 - the same class
        new._reference_tasks = set(self._reference_tasks)  # noqa: SLF001 - the same class
        new._answers = {}  # noqa: SLF001 - the same class
