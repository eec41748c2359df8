"""States without their values."""

from collections.abc import Mapping
from typing import Any

from prefect._version import __version__
from prefect.engine import state as states
from prefect.engine.state import State
from prefect.serialization.result import result_from_dict, result_to_dict
from prefect.utilities.datetimes import as_datetime, utcnow

__all__ = ["state_from_dict", "state_to_dict"]

_CLASSES: dict[str, type[State]] = {
    name: getattr(states, name) for name in states.__all__ if isinstance(getattr(states, name), type)
}
_TIMES = ("start_time", "cached_result_expiration")
_PLAIN = ("run_count", "loop_count", "cached_parameters", "hashed_inputs")


def _public(context: Mapping[str, Any]) -> dict[str, Any]:
    return {key: sorted(value) if isinstance(value, (set, frozenset)) else value for key, value in context.items()}


def state_to_dict(state: State) -> dict[str, Any]:
    """Return a state as JSON-able data."""
    data: dict[str, Any] = {
        "type": type(state).__name__,
        "message": state.message,
        "context": _public(state.context),
        "cached_inputs": {name: result_to_dict(result) for name, result in (state.cached_inputs or {}).items()},
        "__version__": __version__,
    }
    own = vars(state)
    for name in _TIMES:
        if name in own:
            data[name] = own[name].isoformat() if own[name] is not None else None
    for name in _PLAIN:
        if name in own:
            data[name] = own[name]
    if isinstance(state, states.Mapped):
        data["n_map_states"] = state.n_map_states
    else:
        data["_result"] = result_to_dict(state._result)  # noqa: SLF001 - states and their JSON are one part
    if state.is_meta_state():
        data["state"] = state_to_dict(own["state"]) if own["state"] is not None else None
    return data


def state_from_dict(data: Mapping[str, Any]) -> State:
    """Return the state of JSON-able data, which needs a `type` only; raises `ValueError` if that is not known."""
    kind = data.get("type") if isinstance(data, Mapping) else None
    cls = _CLASSES.get(str(kind))
    if cls is None:
        raise ValueError(f"There is no state of type {kind!r}.")
    # Constructors add what the context of the running task says, which is not what this state says.
    state = cls.__new__(cls)
    state.message = data.get("message")
    state.context = dict(data.get("context") or {})
    state.cached_inputs = {name: result_from_dict(item) for name, item in (data.get("cached_inputs") or {}).items()}
    state._result = result_from_dict(data.get("_result"))  # noqa: SLF001 - states and their JSON are one part
    own = vars(state)
    if isinstance(state, (states.Scheduled, states.Queued)):
        start = data.get("start_time")
        if start is None and not isinstance(state, states.Paused):
            own["start_time"] = utcnow()
        else:
            own["start_time"] = as_datetime(start) if start is not None else None
    if isinstance(state, states.Retrying):
        state.run_count = data.get("run_count") or 1
    elif isinstance(state, states.Looped):
        state.loop_count = data.get("loop_count") or 1
    elif isinstance(state, states.Mapped):
        count = data.get("n_map_states") or 0
        state.map_states = [None] * count
        state._n_map_states = count  # noqa: SLF001 - as above
    elif isinstance(state, states.Cached):
        expiration = data.get("cached_result_expiration")
        state.cached_parameters = data.get("cached_parameters")
        state.hashed_inputs = data.get("hashed_inputs")
        state.cached_result_expiration = as_datetime(expiration) if expiration else None
    if state.is_meta_state():
        inner = data.get("state")
        wrapped = state_from_dict(inner) if inner else None
        while wrapped is not None and wrapped.is_meta_state():
            wrapped = vars(wrapped)["state"]
        own["state"] = wrapped
    return state
