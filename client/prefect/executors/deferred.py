"""Calls that run later or elsewhere: futures are taken out of the arguments, values are put in before the call.

Futures are looked for in dictionaries, lists and tuples, at any depth; anything else is passed as it is.
"""

from collections.abc import Callable
from typing import Any

import cloudpickle  # type: ignore[import-untyped]  # it has no type hints

from prefect.exceptions import UnpicklableError

__all__ = ["Call", "Raised", "Unsendable", "put_in", "sendable", "take_out"]


class _Place:
    """Stands for the value of the future with this number."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return (_Place, (self.number,))


def _replace(value: Any, change: Callable[[Any], Any]) -> Any:
    """Return the structure with every leaf changed; the very same object where nothing was."""
    kind = type(value)
    if kind is dict:
        new: Any = {key: _replace(item, change) for key, item in value.items()}
        return new if any(new[key] is not item for key, item in value.items()) else value
    if kind is list or kind is tuple:
        items = [_replace(item, change) for item in value]
        if all(new is old for new, old in zip(items, value, strict=True)):
            return value
        return items if kind is list else tuple(items)
    return change(value)


def take_out(value: Any, is_future: Callable[[Any], bool]) -> tuple[Any, list[Any]]:
    """Return the structure with places for futures, and the futures, each once, by their number."""
    numbers: dict[int, int] = {}
    found: list[Any] = []

    def change(leaf: Any) -> Any:
        if not is_future(leaf):
            return leaf
        number = numbers.get(id(leaf))
        if number is None:
            number = numbers[id(leaf)] = len(found)
            found.append(leaf)
        return _Place(number)

    return _replace(value, change), found


def put_in(value: Any, values: list[Any]) -> Any:
    """Return the structure with values in its places."""
    return _replace(value, lambda leaf: values[leaf.number] if type(leaf) is _Place else leaf)


class Call:
    """A function and its arguments, with places for the values of futures."""

    __slots__ = ("_arguments", "_function", "_pickled", "name")

    def __init__(self, name: str, function: Callable[..., Any], arguments: tuple[Any, Any]) -> None:
        self.name = name
        self._function = function
        self._arguments = arguments
        self._pickled: bytes | None = None

    def __call__(self, values: list[Any]) -> Any:
        """Return what the function returns, given the values of the futures."""
        args, kwargs = put_in(self._arguments, values) if values else self._arguments
        return self._function(*args, **kwargs)

    def pickled(self) -> bytes:
        """Return function and arguments, pickled by value; raises `UnpicklableError` if that cannot be done."""
        if self._pickled is None:
            try:
                self._pickled = cloudpickle.dumps((self._function, self._arguments))
            except Exception as error:
                raise UnpicklableError(
                    f"{self.name!r} cannot be sent to another process, because its code or its inputs cannot be "
                    f"pickled: {error!r}. Create such objects inside the task, or use an executor that runs tasks in "
                    "this process."
                ) from error
        return self._pickled

    def __reduce__(self) -> tuple[Any, ...]:
        return (_load, (self.name, self.pickled()))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.name}>"


class Unsendable:
    """Goes in the place of a call that cannot be pickled, and raises that where the call would have been made."""

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __call__(self, values: list[Any]) -> Any:
        """Raise `UnpicklableError`."""
        raise UnpicklableError(self.reason)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Unsendable, (self.reason,))


def sendable(call: "Call | Unsendable") -> "Call | Unsendable":
    """Return the call if it can be pickled, else what stands for it."""
    if isinstance(call, Call):
        try:
            call.pickled()
        except UnpicklableError as error:
            return Unsendable(str(error))
    return call


def _load(name: str, data: bytes) -> Call:
    function, arguments = cloudpickle.loads(data)
    return Call(name, function, arguments)


class Raised:
    """What was raised in a call, as a value: calls that take it return it."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __reduce__(self) -> tuple[Any, ...]:
        return (Raised, (self.error,))
