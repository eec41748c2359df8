"""The priority of flow runs: in which order those that wait are taken."""

from __future__ import annotations

from typing import Final

from flowstead_server.domain.errors import BadInputError

LOWEST: Final = -100
HIGHEST: Final = 100


def checked_priority(priority: int | None) -> int:
    """Return a priority; null is 0. Raises BadInputError outside of -100 to 100."""
    value = 0 if priority is None else priority
    if not LOWEST <= value <= HIGHEST:
        raise BadInputError(f"A priority must be {LOWEST} to {HIGHEST}, but this one is {value}.")
    return value
