"""From the states of upstream tasks to those of mapped children, and back to one list.

Pure functions over states; the flow runner submits them to executors, so they work on resolved values only.
"""

import copy
from collections.abc import Callable, Iterable
from typing import Any

from prefect.engine.result import NoResult
from prefect.engine.result.travel import UnavailableResult
from prefect.engine.state import Failed, Mapped, State
from prefect.exceptions import UnpicklableError
from prefect.utilities.logging import get_logger

__all__ = ["attach_children", "element_of", "flatten_children", "flatten_state", "without_children"]


def _with_value(state: State, value: Any) -> State:
    new = copy.copy(state)
    new._result = state._result.from_value(value)  # noqa: SLF001 - states and engine are one part
    return new


def element_of(state: State) -> Callable[[int], State]:
    """Return a function from an index to a copy of the state with that element as its value.

    A state without elements is returned as it is; an element that cannot be taken makes a Failed state.
    """
    try:
        value = state.result
    except UnpicklableError:
        return lambda index: state
    if not state.is_successful() or state.is_skipped() or value is None:
        return lambda index: state

    def element(index: int) -> State:
        try:
            return _with_value(state, value[index])
        except Exception as error:
            return Failed(f"Element {index} of the value to map over could not be taken: {error!r}", result=error)

    return element


def without_children(state: Mapped) -> Mapped:
    """Return a copy of a Mapped state that knows the number of its children only."""
    new = copy.copy(state)
    new._n_map_states = state.n_map_states  # noqa: SLF001 - states and engine are one part
    new.map_states = []
    new._result = NoResult  # noqa: SLF001 - as above
    return new


def flatten_state(state: State) -> State:
    """Return a copy whose value has one level of nesting less; values that are not nested stay as they are."""
    if not state.is_successful():
        return state
    try:
        return _flattened(state)
    except Exception as error:
        return Failed(f"The value to flatten could not be read: {error!r}", result=error)


def _flattened(state: State) -> State:
    value = state.result
    if not isinstance(value, Iterable) or isinstance(value, (str, bytes)):
        return state
    items = list(value)
    if not all(hasattr(item, "__len__") and hasattr(item, "__getitem__") for item in items):
        return state
    return _with_value(state, [element for item in items for element in item])


def flatten_children(children: Iterable[State]) -> list[State]:
    """Return one state per element of each successful child's value; other children pass as they are."""
    flat: list[State] = []
    for child in children:
        if not child.is_successful() or child.is_skipped():
            flat.append(child)
            continue
        try:
            flat.extend(_elements_of_child(child))
        except Exception as error:
            flat.append(Failed(f"The value to flatten could not be read: {error!r}", result=error))
    return flat


def _elements_of_child(child: State) -> list[State]:
    value = child.result
    if hasattr(value, "__len__") and hasattr(value, "__getitem__"):
        return [_with_value(child, element) for element in value]
    get_logger("FlowRunner").warning(
        "`flatten` was used on upstream task that did not return an iterable. The value will be passed "
        "downstream unmodified."
    )
    return [child]


def attach_children(state: State, children: list[State]) -> State:
    """Return a copy of a Mapped state with its children, whose values make its value; other states as they are."""
    if not isinstance(state, Mapped):
        return state
    new = copy.copy(state)
    new.map_states = list(children)
    new._n_map_states = len(new.map_states)  # noqa: SLF001 - states and engine are one part
    try:
        new.result = [child.result for child in new.map_states]
    except UnpicklableError as error:
        new._result = UnavailableResult(str(error))  # noqa: SLF001 - as above
    return new
