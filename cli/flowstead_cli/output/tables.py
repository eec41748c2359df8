"""Tables of text, and the humanised ages in them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

__all__ = ["age", "as_datetime", "render_table"]

_UNITS = {
    "year": 31_536_000,
    "month": 2_592_000,
    "week": 604_800,
    "day": 86_400,
    "hour": 3_600,
    "minute": 60,
    "second": 1,
}


def as_datetime(value: Any) -> datetime | None:
    """Return a moment from the API (ISO text or datetime) as an aware datetime; None stays None."""
    if value is None or isinstance(value, datetime):
        return value
    return datetime.fromisoformat(str(value))


def age(value: Any, now: datetime | None = None) -> str:
    """Return how long ago a moment was, such as `3 days ago`; the empty string for None."""
    moment = as_datetime(value)
    if moment is None:
        return ""
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    distance = abs(seconds)
    unit = next((name for name, length in _UNITS.items() if distance >= length), "second")
    count = int(distance // _UNITS[unit])
    text = f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{text} ago" if seconds >= 0 else f"in {text}"


def _cell(value: Any) -> str:
    # A line break inside a cell would break the table.
    return "" if value is None else " ".join(str(value).split("\n"))


def render_table(headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a table without borders: columns left-aligned, two spaces between them, an empty cell for None."""
    cells = [list(headers), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headers))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells)
    return "\n".join(line.rstrip() for line in lines)
