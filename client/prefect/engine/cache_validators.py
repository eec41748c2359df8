"""Whether a cached state may stand in for a run: functions of (state, inputs, parameters).

`inputs` are the values of the task's inputs by name, `parameters` those of the flow run.  Inputs are compared by the
hashes in the state when it has them, else by the values it cached.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import cloudpickle  # type: ignore[import-untyped]  # it has no type hints

from prefect.engine.state import Cached
from prefect.utilities.datetimes import utcnow

__all__ = [
    "all_inputs",
    "all_parameters",
    "duration_only",
    "hash_input",
    "never_use",
    "partial_inputs_only",
    "partial_parameters_only",
]

Validator = Callable[[Cached, Mapping[str, Any], Mapping[str, Any]], bool]


def hash_input(value: Any) -> str:
    """Return a token that is equal for equal values: dask's if dask is installed, else a hash of the pickle."""
    try:
        from dask.base import tokenize  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415 - an optional dependency
    except ImportError:
        return hashlib.sha256(cloudpickle.dumps(value)).hexdigest()
    return str(tokenize(value))


def never_use(state: Cached, inputs: Mapping[str, Any], parameters: Mapping[str, Any]) -> bool:
    """Never valid."""
    return False


def duration_only(state: Cached, inputs: Mapping[str, Any], parameters: Mapping[str, Any]) -> bool:
    """Valid until it expires."""
    return state.cached_result_expiration is None or state.cached_result_expiration > utcnow()


def _same_inputs(state: Cached, inputs: Mapping[str, Any], names: Iterable[str] | None = None) -> bool:
    wanted = dict(inputs) if names is None else {name: inputs.get(name) for name in names}
    if state.hashed_inputs is not None:
        hashed = {name: hash_input(value) for name, value in wanted.items()}
        kept = state.hashed_inputs if names is None else {name: state.hashed_inputs.get(name) for name in wanted}
        return hashed == kept
    kept_values = {name: result.value for name, result in (state.cached_inputs or {}).items()}
    if names is not None:
        kept_values = {name: kept_values.get(name) for name in wanted}
    return kept_values == wanted


def all_inputs(state: Cached, inputs: Mapping[str, Any], parameters: Mapping[str, Any]) -> bool:
    """Valid until it expires, for equal inputs."""
    return duration_only(state, inputs, parameters) and _same_inputs(state, inputs)


def all_parameters(state: Cached, inputs: Mapping[str, Any], parameters: Mapping[str, Any]) -> bool:
    """Valid until it expires, for equal parameters of the flow run."""
    return duration_only(state, inputs, parameters) and (state.cached_parameters or {}) == dict(parameters or {})


def partial_parameters_only(validate_on: Iterable[str] | None = None) -> Validator:
    """Return a validator: valid until it expires, for equal values of the listed parameters."""
    names = list(validate_on) if validate_on is not None else None

    def validator(state: Cached, inputs: Mapping[str, Any], parameters: Mapping[str, Any]) -> bool:
        if not duration_only(state, inputs, parameters):
            return False
        kept = state.cached_parameters or {}
        return names is None or all(kept.get(name) == (parameters or {}).get(name) for name in names)

    return _named(validator, "partial_parameters_only", names)


def partial_inputs_only(validate_on: Iterable[str] | None = None) -> Validator:
    """Return a validator: valid until it expires, for equal values of the listed inputs."""
    names = list(validate_on) if validate_on is not None else None

    def validator(state: Cached, inputs: Mapping[str, Any], parameters: Mapping[str, Any]) -> bool:
        if not duration_only(state, inputs, parameters):
            return False
        return names is None or _same_inputs(state, inputs, names)

    return _named(validator, "partial_inputs_only", names)


def _named(validator: Any, name: str, names: list[str] | None) -> Validator:
    validator.__name__ = validator.__qualname__ = name
    # Serialization names a validator by its factory and arguments.
    validator.factory_kwargs = {"validate_on": names}
    typed: Validator = validator
    return typed
