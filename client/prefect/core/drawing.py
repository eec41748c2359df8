"""Draw a flow with graphviz: tasks as nodes, dependencies as arrows, states as colours.

Raises `ImportError` without the package graphviz, and what that raises if its programs cannot be found.
"""

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prefect.core.flow import Flow
    from prefect.core.task import Task
    from prefect.engine.state import State

__all__ = ["draw", "visualize"]

_TRANSLUCENT = "80"


def draw(flow: "Flow", flow_state: "State | None" = None, *, horizontal: bool = False) -> Any:
    """Return the flow as a `graphviz.Digraph`; with a state, its tasks and mapped children coloured by theirs."""
    try:
        import graphviz  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra, without type hints
    except ImportError as error:
        raise ImportError(
            "This feature requires graphviz.\nTry re-installing prefect with `pip install 'prefect[viz]'`"
        ) from error
    graph = graphviz.Digraph(graph_attr={"rankdir": "LR"} if horizontal else {})
    states: dict[Task, State] = flow_state.result if flow_state is not None and flow_state.result else {}
    children = {task: _children(states.get(task)) for task in flow.tasks}
    mapped = {edge.downstream_task for edge in flow.edges if edge.mapped}
    for task in flow.sorted_tasks():
        shape = "box" if task in mapped else "ellipse"
        if children[task]:
            for index, child in enumerate(children[task]):
                graph.node(_id(flow, task, index), f"{task.name}[{index}]", shape=shape, **_filled(child))
        else:
            label = f"{task.name} <map>" if task in mapped else task.name
            graph.node(_id(flow, task), label, shape=shape, **_filled(states.get(task)))
    for edge in sorted(flow.edges, key=lambda edge: _order(flow, edge)):
        up, down = edge.upstream_task, edge.downstream_task
        for source, target in _ends(len(children[up]), len(children[down]), mapped=edge.mapped):
            graph.edge(
                _id(flow, up, source),
                _id(flow, down, target),
                label=edge.key,
                style="dashed" if edge.mapped else None,
            )
    return graph


def visualize(
    flow: "Flow",
    flow_state: "State | None" = None,
    filename: str | None = None,
    format: str | None = None,  # noqa: A002 - the name is part of the 1.x API
    *,
    horizontal: bool = False,
) -> Any:
    """Draw the flow into a file, or show it; returns the `graphviz.Digraph`."""
    graph = draw(flow, flow_state, horizontal=horizontal)
    if filename:
        graph.render(filename, view=False, format=format, cleanup=True)
    elif not _in_notebook():
        folder = tempfile.mkdtemp(prefix="prefect-")
        graph.render(str(Path(folder) / "flow"), view=True, format=format, cleanup=True)
    return graph


def _in_notebook() -> bool:
    # A notebook has imported IPython itself; importing it here would only take time.
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and "IPKernelApp" in getattr(shell, "config", {})


def _children(state: "State | None") -> "list[State]":
    return list(state.map_states) if state is not None and state.is_mapped() else []  # type: ignore[attr-defined]  # a Mapped has them


def _filled(state: "State | None") -> dict[str, str]:
    if state is None:
        return {}
    return {"style": "filled", "color": f"{state.color}{_TRANSLUCENT}"}


def _id(flow: "Flow", task: "Task", index: int | None = None) -> str:
    # Colons separate ports in graphviz.
    name = flow.slugs[task].replace(":", "_")
    return name if index is None else f"{name}/{index}"


def _order(flow: "Flow", edge: Any) -> tuple[str, str, str]:
    return flow.slugs[edge.upstream_task], flow.slugs[edge.downstream_task], edge.key or ""


def _ends(sources: int, targets: int, *, mapped: bool) -> "list[tuple[int | None, int | None]]":
    """Return which children an arrow joins: element by element if the edge maps, else all with all."""
    if mapped and sources and targets:
        return [(index, index) for index in range(min(sources, targets))]
    from_all: list[int | None] = list(range(sources)) or [None]
    to_all: list[int | None] = list(range(targets)) or [None]
    return [(source, target) for source in from_all for target in to_all]
