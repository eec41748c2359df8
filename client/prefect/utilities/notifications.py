"""State handlers made of functions."""

from collections.abc import Callable
from typing import Any

__all__ = ["callback_factory"]


def callback_factory(fn: Callable[..., Any], check: Callable[[Any], bool]) -> Callable[..., Any]:
    """Return a state handler that calls `fn(obj, new_state)` when `check(new_state)` is True."""

    def state_handler(obj: Any, old_state: Any, new_state: Any) -> Any:
        if check(new_state) is True:
            fn(obj, new_state)
        return new_state

    return state_handler
