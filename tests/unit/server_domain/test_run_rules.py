"""Labels, parameters, names and ids of runs."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowstead_server.domain.errors import BadInputError
from flowstead_server.domain.ids import new_id
from flowstead_server.domain.labels import labels_of_config, may_take, normalized, resolve_labels
from flowstead_server.domain.names import ADJECTIVES, NOUNS, generate_run_name
from flowstead_server.domain.parameters import check_schedulable, clock_parameter_defaults, resolve_parameters

SOURCES = ("given", "given_run_config", "group_labels", "group_run_config", "flow_run_config", "flow_environment")
LABELS = st.frozensets(st.sampled_from("abcde"))


def sources(**members: Any) -> dict[str, Any]:
    return {**dict.fromkeys(SOURCES), **members}


@pytest.mark.parametrize("position", range(len(SOURCES)))
def test_first_source_that_is_set_wins_even_if_empty(position: int) -> None:
    filled = {
        name: [name, "z"] if name in {"given", "group_labels"} else {"labels": [name, "z"]}
        for name in SOURCES[position:]
    }
    winner = SOURCES[position]
    assert resolve_labels(**sources(**filled)) == sorted([winner, "z"])
    filled[winner] = [] if winner in {"given", "group_labels"} else {"type": "UniversalRun"}
    assert resolve_labels(**sources(**filled)) == []


def test_no_source_means_no_labels() -> None:
    assert resolve_labels(**sources()) == []


@pytest.mark.parametrize("labels", [[1], [None], ["a\0"], [["a"]]])
def test_labels_are_text(labels: list[Any]) -> None:
    with pytest.raises(BadInputError, match="label"):
        normalized(labels)
    with pytest.raises(BadInputError):
        labels_of_config({"labels": labels})


def test_labels_have_a_size_that_an_index_can_hold() -> None:
    assert len(normalized(["x" * 2000])) == 1
    with pytest.raises(BadInputError, match="2000 bytes together, but these 2 have 2004"):
        normalized(["ä" * 1000, "xxxx"])


def test_labels_of_a_config_are_a_list() -> None:
    with pytest.raises(BadInputError, match="must be a list"):
        labels_of_config({"labels": "gpu"})


@given(LABELS, LABELS)
def test_agents_take_runs_whose_labels_they_have(run: frozenset[str], agent: frozenset[str]) -> None:
    if not run:
        assert may_take(run, agent) is (not agent)
    else:
        assert may_take(run, agent) is all(label in agent for label in run)


def parameter(name: str, *, required: bool = False, default: Any = None) -> dict[str, Any]:
    return {"name": name, "required": required, "default": default}


def test_parameters_overlay_defaults_of_flow_and_group() -> None:
    declared = [parameter("a", default=1), parameter("b", default=2), parameter("c", default=3)]
    assert resolve_parameters(declared, {"b": 20, "c": 30}, {"c": 300, "new": 1}) == {
        "a": 1,
        "b": 20,
        "c": 300,
        "new": 1,
    }


@pytest.mark.parametrize("default", [0, "", [], {}, False, None])
def test_falsy_defaults_are_left_to_the_flow(default: Any) -> None:
    assert resolve_parameters([parameter("a", default=default)], {}, None) == {}


def test_missing_required_parameters_are_named_as_a_python_set() -> None:
    declared = [parameter("y", required=True), parameter("x", required=True), parameter("z", required=True)]
    with pytest.raises(BadInputError) as raised:
        resolve_parameters(declared, {"z": 1}, {})
    assert raised.value.message == "Required parameters were not supplied: {'x', 'y'}"


@pytest.mark.parametrize("declared", [None, {}, [], [None, "a", {"no": "name"}]])
def test_odd_declarations_declare_nothing(declared: Any) -> None:
    assert resolve_parameters(declared, {}, {"a": 1}) == {"a": 1}


def test_schedulable_if_every_clock_covers_what_is_required() -> None:
    declared = [parameter("a", required=True), parameter("b", required=True)]
    check_schedulable(declared, {"a": 1}, [{"b": 1}, {"b": 2, "c": 3}])
    check_schedulable(declared, {"a": 1, "b": 1}, [{}])
    check_schedulable([parameter("a", default=1)], {}, [])
    for clocks in ([{"b": 1}, {}], [], [{"a": 1}]):
        with pytest.raises(BadInputError, match=r"Can not schedule a flow that has required parameters\."):
            check_schedulable(declared, {"a": 1}, clocks)


def test_clock_defaults_of_odd_schedules() -> None:
    assert clock_parameter_defaults(None) == []
    assert clock_parameter_defaults(
        {"clocks": [{"parameter_defaults": None}, {"parameter_defaults": {"a": 1}}, 5]}
    ) == [
        {},
        {"a": 1},
        {},
    ]


def test_names_are_two_words() -> None:
    words = {*ADJECTIVES, *NOUNS}
    assert len(set(ADJECTIVES)) == len(ADJECTIVES)
    assert len(set(NOUNS)) == len(NOUNS)
    assert all(word.isalpha() and word.islower() for word in words)
    for _ in range(100):
        adjective, noun = generate_run_name().split("-")
        assert adjective in ADJECTIVES
        assert noun in NOUNS


def test_ids_are_version_7_and_distinct() -> None:
    ids = [new_id() for _ in range(1000)]
    assert len(set(ids)) == len(ids)
    assert {id_.version for id_ in ids} == {7}
    assert {id_.variant for id_ in ids} == {"specified in RFC 4122"}
    assert [id_.int >> 80 for id_ in ids] == sorted(id_.int >> 80 for id_ in ids)
