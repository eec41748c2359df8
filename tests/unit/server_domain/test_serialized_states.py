"""Reading states from the wire."""

from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowstead_server.domain.errors import BadInputError, PayloadTooLargeError
from flowstead_server.domain.serialized_states import (
    encode,
    parse_state,
    parse_time,
    with_cached_inputs,
)

NOW = datetime(2030, 1, 31, 12, tzinfo=UTC)
# what a client sends: JSON without lone surrogates, which no JSON text in UTF-8 can hold
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=10,
)


def test_minimal_state_is_kept_as_it_is() -> None:
    state = parse_state({"type": "Success", "message": "done", "extra": [1]}, NOW)
    assert (state.name, state.message, state.start_time) == ("Success", "done", None)
    assert orjson.loads(state.payload) == {"type": "Success", "message": "done", "extra": [1]}


@pytest.mark.parametrize("name", ["Scheduled", "Resume", "Retrying", "Queued"])
@pytest.mark.parametrize("members", [{}, {"start_time": None}])
def test_missing_start_time_is_now_and_is_written_down(name: str, members: dict[str, None]) -> None:
    state = parse_state({"type": name, **members}, NOW)
    assert state.start_time == NOW
    assert orjson.loads(state.payload)["start_time"] == "2030-01-31T12:00:00+00:00"


def test_paused_without_a_start_time_waits_for_somebody() -> None:
    assert parse_state({"type": "Paused"}, NOW).start_time is None


def test_states_that_do_not_wait_have_no_start_time() -> None:
    assert parse_state({"type": "Running", "start_time": "2030-01-01"}, NOW).start_time is None


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2030-01-01T00:00:00-05:00", datetime(2030, 1, 1, 5, tzinfo=UTC)),
        ("2030-01-01T00:00:00", datetime(2030, 1, 1, tzinfo=UTC)),
        ("2030-01-01 10:00", datetime(2030, 1, 1, 10, tzinfo=UTC)),
        ("2030-01-01", datetime(2030, 1, 1, tzinfo=UTC)),
        ("2030-01-01T00:00:00Z", datetime(2030, 1, 1, tzinfo=UTC)),
    ],
)
def test_times_without_an_offset_are_utc(text: str, moment: datetime) -> None:
    assert parse_time(text, "x") == moment


@pytest.mark.parametrize("value", ["tomorrow", "", 5, {}, "2030-13-01", "0001-01-01T00:00:00+10:00"])
def test_nonsense_times_are_named(value: object) -> None:
    with pytest.raises(BadInputError, match="The start"):
        parse_time(value, "The start")


def test_meta_states_keep_the_innermost_real_one() -> None:
    real = {"type": "Scheduled", "start_time": "2030-01-01T00:00:00+00:00"}
    nested = {"type": "Submitted", "state": {"type": "Queued", "state": {"type": "Submitted", "state": real}}}
    assert orjson.loads(parse_state(nested, NOW).payload)["state"] == real


def test_endless_nesting_is_refused() -> None:
    state: dict[str, object] = {"type": "Pending"}
    for _ in range(60):
        state = {"type": "Submitted", "state": state}
    with pytest.raises(BadInputError, match="nested"):
        parse_state(state, NOW)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("Success", "must be a JSON object"),
        (None, "must be a JSON object"),
        ({}, "Unknown state type None"),
        ({"type": "Sleeping"}, "Unknown state type 'Sleeping'"),
        ({"type": ["Success"]}, "Unknown state type"),
        ({"type": "Success", "message": 5}, "must be text"),
        ({"type": "Scheduled", "start_time": "soon"}, "start time of a state"),
        ({"type": "Success", "message": "a\0b"}, "NUL"),
        ({"type": "Success", "context": {"a": ["\0"]}}, "NUL"),
    ],
)
def test_unreadable_states_are_explained(state: object, reason: str) -> None:
    with pytest.raises(BadInputError, match=reason):
        parse_state(state, NOW)


def test_large_states_are_refused_by_their_size_in_bytes() -> None:
    parse_state({"type": "Success", "message": "x" * 999_900}, NOW)
    for message in ("x" * 1_000_000, "ä" * 500_000):
        with pytest.raises(PayloadTooLargeError, match=r"State payload is too large\."):
            parse_state({"type": "Success", "message": message}, NOW)


def test_an_escaped_backslash_before_u0000_is_no_nul() -> None:
    assert orjson.loads(encode({"a": "\\u0000"})) == {"a": "\\u0000"}


@given(st.dictionaries(TEXT.filter(lambda key: key not in {"type", "message"}), JSON))
def test_members_survive(members: dict[str, object]) -> None:
    state = {**members, "type": "Success"}
    assert orjson.loads(parse_state(state, NOW).payload) == state


def test_cached_inputs_are_carried_over() -> None:
    state = parse_state({"type": "Success"}, NOW)
    assert not state.cached_inputs
    carried = with_cached_inputs(state, {"x": {"type": "NoResultType"}})
    assert orjson.loads(carried.payload)["cached_inputs"] == {"x": {"type": "NoResultType"}}
