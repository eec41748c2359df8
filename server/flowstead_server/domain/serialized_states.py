"""Reading a state as it comes over the wire, and making the states that the server itself writes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final

import orjson

from flowstead_server.domain.errors import BadInputError, PayloadTooLargeError
from flowstead_server.domain.states import META_NAMES, STATE_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_STATE_BYTES: Final = 1_000_000
# What the old server's envelope around the state added to the size that it compared.
_ENVELOPE_BYTES: Final = 50
# A missing start time of these means now; Paused without one waits until somebody resumes it.
_START_NOW: Final = frozenset({"Scheduled", "Resume", "Retrying", "Queued"})
_HAVE_START_TIME: Final = _START_NOW | {"Paused"}
_MAX_NESTING: Final = 50


@dataclass(frozen=True, slots=True)
class ParsedState:
    """A state ready to be stored. `payload` is its JSON text; `start_time` has a zone or is null."""

    name: str
    message: str | None
    start_time: datetime | None
    payload: str
    cached_inputs: bool
    """Whether it brings cached inputs of its own."""


def parse_state(state: object, now: datetime) -> ParsedState:
    """Read a serialized state. Raises BadInputError (unknown type, bad start time) and PayloadTooLargeError.

    A meta state around a meta state keeps only the innermost real one. A missing start time of a scheduled state
    becomes `now`, in the payload too. NUL characters, which the database cannot hold, are refused.
    """
    if not isinstance(state, dict):
        raise BadInputError(f"A state must be a JSON object, but this one is {_described(state)}.")
    name = state.get("type")
    if not isinstance(name, str) or name not in STATE_NAMES:
        raise BadInputError(f"Unknown state type {_described(name)}; known are {', '.join(sorted(STATE_NAMES))}.")
    message = state.get("message")
    if message is not None and not isinstance(message, str):
        raise BadInputError(f"The message of a state must be text, but this one is {_described(message)}.")
    stored: dict[str, Any] = state
    if name in META_NAMES:
        stored = {**stored, "state": _innermost(stored.get("state"))}
    start_time: datetime | None = None
    if name in _HAVE_START_TIME:
        start_time = _start_time(stored.get("start_time"))
        if start_time is None and name in _START_NOW:
            start_time = now
            stored = {**stored, "start_time": now.isoformat()}
    payload = encode(stored)
    if len(payload.encode()) + _ENVELOPE_BYTES > MAX_STATE_BYTES:
        raise PayloadTooLargeError("State payload is too large.", MAX_STATE_BYTES)
    return ParsedState(name, message, start_time, payload, bool(stored.get("cached_inputs")))


def simple_state(name: str, message: str, now: datetime, **members: Any) -> ParsedState:
    """Make one of the server's own states."""
    return parse_state({"type": name, "message": message, **members}, now)


def with_cached_inputs(state: ParsedState, inputs: Mapping[str, Any]) -> ParsedState:
    """Return the state with cached inputs carried over from the stored one."""
    payload = encode({**orjson.loads(state.payload), "cached_inputs": dict(inputs)})
    return ParsedState(state.name, state.message, state.start_time, payload, cached_inputs=True)


def encode(value: object) -> str:
    """Return the JSON text of a value as the database stores it. Raises BadInputError for what JSON cannot hold."""
    try:
        text = orjson.dumps(value).decode()
    except (orjson.JSONEncodeError, RecursionError) as error:
        raise BadInputError(f"A value cannot be written as JSON: {error}.") from error
    if "\\u0000" in text and _has_nul(orjson.loads(text)):
        raise BadInputError("Text may not contain the NUL character (\\u0000).")
    return text


def parse_time(value: object, what: str) -> datetime:
    """Read an ISO 8601 time; one without an offset is UTC. Raises BadInputError that names `what`."""
    moment: datetime | None = None
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, date):
        moment = datetime(value.year, value.month, value.day, tzinfo=UTC)
    elif isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.strip())
        except ValueError:
            moment = None
    if moment is None:
        raise BadInputError(f"{what} must be a time such as 2030-01-31T12:00:00+00:00, but it is {_described(value)}.")
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError as error:
        raise BadInputError(f"{what} {_described(value)} is out of range.") from error


def _start_time(value: object) -> datetime | None:
    return None if value is None else parse_time(value, "The start time of a state")


def _innermost(state: object) -> object:
    for _ in range(_MAX_NESTING):
        if not (isinstance(state, dict) and state.get("type") in META_NAMES):
            return state
        state = state.get("state")
    raise BadInputError(f"A state is nested more than {_MAX_NESTING} levels deep.")


def _has_nul(value: object) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any("\0" in key or _has_nul(member) for key, member in value.items())
    return isinstance(value, list) and any(_has_nul(member) for member in value)


def _described(value: object, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[:limit] + "…"
