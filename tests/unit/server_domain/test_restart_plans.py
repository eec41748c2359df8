"""Which task runs run again after a restart: examples, and any graph against a slow, obvious evaluator."""

from dataclasses import dataclass, replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowstead_server.domain.restarts import (
    SUCCEEDED_NAMES,
    Dependency,
    Reason,
    RunNode,
    is_repeated,
    is_stored,
    plan_restart,
)


def task_id(number: int) -> UUID:
    return UUID(int=number)


def run(task: int, state: str = "Success", index: int = -1, *, stored: bool = True, **members) -> RunNode:
    return RunNode(UUID(int=1000 * (task + 1) + index + 1), task_id(task), index, state, stored, **members)


def edge(up: int, down: int, *, value: bool = True, mapped: bool = False) -> Dependency:
    return Dependency(task_id(up), task_id(down), value, mapped)


def mapped(task: int, states: list[str], *, stored: bool = True) -> list[RunNode]:
    return [
        run(task, "Mapped", stored=False, width=len(states)),
        *(run(task, state, index, stored=stored) for index, state in enumerate(states)),
    ]


def planned(runs: list[RunNode], edges: list[Dependency], asked=()) -> dict[tuple[int, int], str]:
    plan = plan_restart(runs, edges, {task_id(number) for number in asked})
    assert plan.kept == len(runs) - len(plan.again)
    return {(node.task_id.int, node.map_index): plan.again[node.id].name for node in runs if node.id in plan.again}


CHAIN = [edge(0, 1), edge(1, 2), edge(2, 3), edge(3, 4)]


def test_what_failed_and_what_comes_after_it_run_again() -> None:
    runs = [run(0), run(1), run(2, "Failed"), run(3, "TriggerFailed"), run(4, "Success")]
    assert planned(runs, CHAIN) == {(2, -1): "FAILED", (3, -1): "UNFINISHED", (4, -1): "DOWNSTREAM"}


def test_values_that_are_needed_and_not_stored_are_made_anew() -> None:
    runs = [run(0, stored=False), run(1, stored=False), run(2, "Failed"), run(3, "TriggerFailed"), run(4, "Pending")]
    assert planned(runs, CHAIN) == {
        (0, -1): "RESULT_MISSING",
        (1, -1): "RESULT_MISSING",
        (2, -1): "FAILED",
        (3, -1): "UNFINISHED",
        (4, -1): "UNFINISHED",
    }
    # 1 is stored, so that nobody needs the value of 0
    assert (0, -1) not in planned([runs[0], replace(runs[1], stored=True), *runs[2:]], CHAIN)
    # nor does anybody if edges carry no values
    no_values = [replace(dependency, carries_value=False) for dependency in CHAIN]
    assert set(planned(runs, no_values)) == {(2, -1), (3, -1), (4, -1)}


def test_what_used_a_value_before_it_is_made_anew_is_kept() -> None:
    runs = [run(0, stored=False), run(1), run(2, "Failed")]
    assert planned(runs, [edge(0, 1), edge(0, 2)]) == {(0, -1): "RESULT_MISSING", (2, -1): "FAILED"}


def test_skipped_tasks_have_no_value_to_be_missed() -> None:
    assert planned([run(0, "Skipped", stored=False), run(1, "Failed")], [edge(0, 1)]) == {(1, -1): "FAILED"}


def test_a_cache_entry_is_compared_with_its_inputs() -> None:
    runs = [run(0, stored=False), run(1, "Cached"), run(2, "Failed")]
    assert planned(runs, [edge(0, 1)]) == {(0, -1): "RESULT_MISSING", (2, -1): "FAILED"}


def test_secrets_and_resources_run_again_alone() -> None:
    runs = [run(0, repeated=True), run(1), run(2, "Cancelled")]
    assert planned(runs, [edge(0, 1)]) == {(0, -1): "NEVER_KEPT", (2, -1): "UNFINISHED"}


def test_only_the_children_that_failed_run_again() -> None:
    runs = [
        run(0),
        *mapped(1, ["Success", "Failed", "Success"]),
        *mapped(2, ["Success", "TriggerFailed", "Success"]),
        run(3, "Success"),
    ]
    edges = [edge(0, 1, mapped=True), edge(1, 2, mapped=True), edge(2, 3)]
    assert planned(runs, edges) == {(1, 1): "FAILED", (2, 1): "UNFINISHED", (3, -1): "DOWNSTREAM"}


def test_a_list_that_is_made_anew_takes_all_children_along() -> None:
    runs = [
        run(0, stored=False),
        *mapped(1, ["Success", "Failed"]),
        *mapped(2, ["Success", "TriggerFailed"]),
    ]
    again = planned(runs, [edge(0, 1, mapped=True), edge(1, 2, mapped=True)])
    assert again[0, -1] == "RESULT_MISSING"
    assert {again[1, -1], again[1, 0], again[2, -1]} == {"MAPPED_ANEW"}
    assert len(again) == len(runs)


def test_a_mapped_task_that_succeeded_needs_no_list() -> None:
    runs = [run(0, stored=False), *mapped(1, ["Success", "Success"]), run(2, "Failed")]
    assert planned(runs, [edge(0, 1, mapped=True)]) == {(2, -1): "FAILED"}
    # but children that were never made do
    runs = [*runs[:2], runs[-1]]
    assert set(planned(runs, [edge(0, 1, mapped=True)])) == {(0, -1), (1, -1), (2, -1)}


def test_children_whose_values_are_missing_are_made_anew_for_a_reduction() -> None:
    runs = [run(0), *mapped(1, ["Success", "Success"], stored=False), run(2, "Failed")]
    edges = [edge(0, 1, mapped=True), edge(1, 2)]
    assert planned(runs, edges) == {(1, 0): "RESULT_MISSING", (1, 1): "RESULT_MISSING", (2, -1): "FAILED"}


def test_children_over_flattened_ones_do_not_belong_together() -> None:
    runs = [run(0), *mapped(1, ["Success", "Failed"]), *mapped(2, ["Success"] * 4)]
    again = planned(runs, [edge(0, 1, mapped=True), edge(1, 2, mapped=True)])
    assert set(again) == {(1, 1), *((2, index) for index in range(-1, 4))}


def test_tasks_that_are_asked_for() -> None:
    runs = [run(0), *mapped(1, ["Success", "Success"]), run(2)]
    edges = [edge(0, 1, mapped=True), edge(1, 2)]
    assert planned(runs, edges, asked=[1]) == {(1, 0): "ASKED", (1, 1): "ASKED"}
    assert planned(runs, edges, asked=[2]) == {(2, -1): "ASKED"}
    assert planned(runs, edges) == {}


@pytest.mark.parametrize(
    ("result", "stored"),
    [
        ({"type": "LocalResult", "location": "/r/x"}, True),
        ({"type": "LocalResult", "location": None}, False),
        ({"type": "CustomResult", "location": "x"}, True),
        ({"type": "PrefectResult", "location": "5"}, True),
        ({"type": "NoResultType"}, False),
        ({"type": "SecretResult", "location": "name"}, False),
        ({"type": "ConstantResult", "location": "5"}, False),
        ({"location": 5}, False),
        (None, False),
        ("x", False),
    ],
)
def test_which_results_are_at_hand(result: object, stored: bool) -> None:
    assert is_stored(result) is stored


def test_which_tasks_are_repeated() -> None:
    assert is_repeated("prefect.tasks.core.resource_manager.ResourceSetupTask", None)
    assert is_repeated("prefect.tasks.core.resource_manager.ResourceCleanupTask", {"type": "NoResultType"})
    assert is_repeated(None, {"type": "SecretResult", "location": "s"})
    assert not is_repeated("prefect.tasks.core.function.FunctionTask", {"type": "LocalResult", "location": "x"})


def test_ten_thousand_children_over_ten_thousand_are_planned_quickly() -> None:
    states = ["Success", "Failed"] * 5000
    runs = [run(0), *_many(1, states), *_many(2, states)]
    # the second is mapped over the first list, and takes all children of the first one as an argument
    edges = [edge(0, 1, mapped=True), edge(0, 2, mapped=True), edge(1, 2)]
    assert plan_restart(runs, edges).kept == 1 + 1 + 5000


def _many(task: int, states: list[str]) -> list[RunNode]:
    return [replace(node, id=UUID(int=(task << 32) + number)) for number, node in enumerate(mapped(task, states))]


# -- any graph -------------------------------------------------------------------------------------------------------

STATES = ["Success"] * 4 + ["Cached", "Skipped", "Failed", "TriggerFailed", "Cancelled", "Pending"]


@dataclass
class Graph:
    runs: list[RunNode]
    edges: list[Dependency]
    asked: set[UUID]


@st.composite
def graphs(draw) -> Graph:
    """A graph of up to six tasks whose mapped ones have one to three children."""
    runs: list[RunNode] = []
    edges: list[Dependency] = []
    for number in range(draw(st.integers(1, 6))):
        kinds = st.sampled_from(["none", "none", "state", "value", "mapped"])
        mine = [
            edge(up, number, value=kind != "state", mapped=kind == "mapped")
            for up in range(number)
            if (kind := draw(kinds)) != "none"
        ]
        edges += mine
        states = st.sampled_from(STATES)
        is_mapped = any(dependency.mapped for dependency in mine)
        if is_mapped and draw(st.booleans()):
            found = [draw(states) for _ in range(draw(st.integers(1, 3)))]
            nodes = mapped(number, found)
            nodes[0] = replace(nodes[0], width=len(found) + draw(st.integers(0, 1)))
        else:
            # a mapped task that has no children did not come to them
            nodes = [run(number, draw(st.sampled_from(STATES[5:]) if is_mapped else states))]
        runs += [
            replace(node, stored=draw(st.booleans()), repeated=node.state == "Success" and draw(st.integers(0, 9)) == 0)
            for node in nodes
        ]
    return Graph(runs, edges, {task_id(number) for number in draw(st.sets(st.integers(0, 5), max_size=1))})


class Slow:
    """The rules one after the other, over everything, until nothing changes."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.mapped_tasks = {dependency.downstream for dependency in graph.edges if dependency.mapped}
        self.anew: set[UUID] = set()
        self.value: set[UUID] = set()
        before = None
        while before != self.size():
            before = self.size()
            self.round()

    def size(self) -> tuple[int, int]:
        return len(self.anew), len(self.value)

    def of(self, task: UUID) -> list[RunNode]:
        return [node for node in self.graph.runs if node.task_id == task]

    def width(self, task: UUID) -> int | None:
        return next((node.width for node in self.of(task) if node.map_index == -1 and node.state == "Mapped"), None)

    def pairs(self, dependency: Dependency) -> list[tuple[RunNode, RunNode]]:
        """Which runs depend on which, over one edge."""
        every = [(up, down) for up in self.of(dependency.upstream) for down in self.of(dependency.downstream)]
        if self.one_to_one(dependency):
            return [(up, down) for up, down in every if up.map_index == down.map_index != -1 or up.map_index == -1]
        return every

    def one_to_one(self, dependency: Dependency) -> bool:
        if not (dependency.mapped and dependency.upstream in self.mapped_tasks):
            return False
        others = [
            other.upstream for other in self.graph.edges if other.downstream == dependency.downstream and other.mapped
        ]
        widths = [self.width(other) for other in others]
        known = [width for width in widths if width is not None]
        mine = self.width(dependency.downstream)
        if mine is None or not known:
            return True
        return mine <= min(known) if None in widths else mine == min(known)

    def round(self) -> None:
        for node in self.graph.runs:
            if node.state not in SUCCEEDED_NAMES:
                self.anew.add(node.id)
            elif node.repeated or (node.task_id in self.graph.asked and node.state != "Mapped"):
                self.value.add(node.id)
        for dependency in self.graph.edges:
            listed = dependency.mapped and not self.one_to_one(dependency)
            for up, down in self.pairs(dependency):
                # what has no children yet may become a list
                is_list = listed or (dependency.mapped and up.map_index == -1)
                if up.id in self.anew or (is_list and up.id in self.value):
                    self.anew.add(down.id)
                    if listed or not dependency.mapped or up.map_index == -1:
                        self.anew |= {node.id for node in self.of(dependency.downstream)}
                needs = dependency.carries_value and up.state in {"Success", "Cached"} and not up.stored
                child_of_parent = self.one_to_one(dependency) and up.map_index == -1
                if needs and not child_of_parent and self.looked_at(down):
                    self.value.add(up.id)
        for node in self.graph.runs:
            if node.id in self.anew and node.map_index == -1 and node.task_id in self.mapped_tasks:
                self.anew |= {other.id for other in self.of(node.task_id)}

    def looked_at(self, node: RunNode) -> bool:
        if node.id in self.anew | self.value or node.state == "Cached":
            return True
        return node.state == "Mapped" and len(self.of(node.task_id)) - 1 < node.width


@given(graphs())
def test_any_graph_as_the_obvious_evaluator_has_it(graph: Graph) -> None:
    plan = plan_restart(graph.runs, graph.edges, graph.asked)
    slow = Slow(graph)
    assert set(plan.again) == slow.anew | slow.value
    assert plan.kept == len(graph.runs) - len(plan.again)


@given(graphs())
def test_whatever_runs_again_finds_its_values(graph: Graph) -> None:
    again = plan_restart(graph.runs, graph.edges, graph.asked).again
    slow = Slow(graph)
    for dependency in graph.edges:
        for up, down in slow.pairs(dependency):
            if down.id in again and dependency.carries_value and up.map_index == down.map_index == -1:
                assert up.id in again or up.stored or up.state in {"Skipped", "Mapped"}
    assert all(node.id in again for node in graph.runs if node.state not in SUCCEEDED_NAMES)
    assert all(isinstance(reason, Reason) for reason in again.values())
