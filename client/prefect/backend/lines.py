"""A line of a flow run's log as views and watchers hand it out."""

import logging
from datetime import datetime
from typing import NamedTuple

__all__ = ["FlowRunLog", "level_number"]


class FlowRunLog(NamedTuple):
    """A line of a flow run's log; `level` is a number as in `logging`."""

    timestamp: datetime
    level: int
    message: str


def level_number(name: str | None) -> int:
    """Return the number of a level's name; of unknown ones that of INFO."""
    number = logging.getLevelNamesMapping().get((name or "").upper())
    if number is None:
        digits = (name or "").rpartition(" ")[2]
        number = int(digits) if digits.isdecimal() else logging.INFO
    return number
