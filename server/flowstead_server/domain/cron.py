"""Whether a text is a cron expression, and what the clock on the wall shows when it fires.

Five fields (minute, hour, day of month, month, day of week), or six with seconds at the end, or one of the `@` names;
the rest is croniter's word, which the library's own schedules follow too. Croniter takes its time, and many flows have
the same expression: what it has said is remembered.
"""

from __future__ import annotations

import itertools
import re
from datetime import datetime
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIELD_COUNTS: Final = (5, 6)
# croniter draws such a field's value anew for each expression it reads: two servers would not agree
_RANDOM: Final = re.compile(r"(?:^|[\s,])r", re.IGNORECASE)


def is_cron(text: str) -> bool:
    """Say whether a text is a cron expression."""
    stripped = text.strip()
    if len(stripped.split()) not in _FIELD_COUNTS and not stripped.startswith("@"):
        return False
    return is_readable(stripped) and not is_random(stripped)


@lru_cache(maxsize=1024)
def is_readable(text: str) -> bool:
    """Say whether croniter can read an expression."""
    from croniter import croniter  # noqa: PLC0415 - its import would delay the start of every server

    return bool(croniter.is_valid(text))


def is_random(text: str) -> bool:
    """Say whether an expression has a field that is drawn by lot, so that no two readers of it agree."""
    return _RANDOM.search(text) is not None


def cron_walls(text: str, after: datetime, day_or: bool) -> Iterator[datetime]:
    """Yield what the clock on the wall (naive, as `after`) shows at the times after one; ends if there are no more."""
    # Nothing lies between a full minute (or second) and a time within it, so that all of these are one beginning.
    has_seconds = len(text.split()) >= _FIELD_COUNTS[1]
    begin = after.replace(microsecond=0) if has_seconds else after.replace(second=0, microsecond=0)
    return iter(_walls(text, begin, day_or))


@lru_cache(maxsize=256)
def _walls(text: str, begin: datetime, day_or: bool) -> _Walls:
    from croniter import croniter  # noqa: PLC0415 - its import would delay the start of every server

    return _Walls(croniter(text, begin, day_or=day_or))


class _Walls:
    """The times of one expression after one beginning, found out as far as somebody has asked; for any thread."""

    def __init__(self, ticks: Any) -> None:
        self._ticks = ticks
        self._known: list[datetime] = []
        self._ended = False
        self._lock = Lock()

    def __iter__(self) -> Iterator[datetime]:
        for number in itertools.count():
            if number == len(self._known) and not self._find(number):
                return
            yield self._known[number]

    def _find(self, number: int) -> bool:
        with self._lock:
            if number == len(self._known) and not self._ended:
                try:
                    self._known.append(self._ticks.get_next(datetime))
                except ValueError:
                    # Croniter's word for an expression that matches no more days, such as the 30th of February.
                    self._ended = True
            return number < len(self._known)
