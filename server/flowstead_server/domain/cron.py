"""Whether a text is a cron expression. When it fires is the scheduler's business.

Five fields (minute, hour, day of month, month, day of week), or six with seconds at the end, or one of the `@` names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NICKNAMES: Final = frozenset({"@midnight", "@hourly", "@daily", "@weekly", "@monthly", "@yearly", "@annually"})
_PART: Final = re.compile(r"(?P<first>\w+|\*|\?)(?:-(?P<last>\w+))?(?:/(?P<step>\d{1,4}))?", re.ASCII)
_WEEKDAY_OF_MONTH: Final = re.compile(r"(?P<day>\w+)#(?P<week>[1-5])|l(?P<last>\w+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Field:
    first: int
    last: int
    names: tuple[str, ...] = ()
    names_from: int = 0
    allows: frozenset[str] = frozenset()

    def number(self, text: str) -> int | None:
        """Return the number that a name or digits stand for; null if it is out of range."""
        if text in self.names:
            return self.names.index(text) + self.names_from
        # six digits are out of every range, and longer ones cost time
        if not (text.isascii() and text.isdecimal() and len(text) < 6):  # noqa: PLR2004 - said above
            return None
        number = int(text)
        return number if self.first <= number <= self.last else None


_MINUTE: Final = _Field(0, 59)
_DAY_OF_WEEK: Final = _Field(0, 7, _WEEKDAYS, 0, frozenset({"?"}))
_FIELDS: Final = (
    _MINUTE,
    _Field(0, 23),
    _Field(1, 31, allows=frozenset({"?", "l"})),
    _Field(1, 12, _MONTHS, 1),
    _DAY_OF_WEEK,
    _MINUTE,
)
_FIELD_COUNTS: Final = (5, 6)


def is_cron(text: str) -> bool:
    """Say whether a text is a cron expression."""
    lowered = text.strip().lower()
    if lowered in _NICKNAMES:
        return True
    fields = lowered.split()
    if len(fields) not in _FIELD_COUNTS:
        return False
    return all(
        all(_is_part(part, kind) for part in field.split(","))
        for field, kind in zip(fields, _FIELDS[: len(fields)], strict=True)
    )


def _is_part(part: str, kind: _Field) -> bool:
    if part in kind.allows:
        return True
    special = _WEEKDAY_OF_MONTH.fullmatch(part)
    if kind is _DAY_OF_WEEK and special is not None:
        return kind.number(special["day"] or special["last"]) is not None
    match = _PART.fullmatch(part)
    if match is None or (match["step"] is not None and int(match["step"]) == 0):
        return False
    if match["first"] in {"*", "?"}:
        return match["first"] == "*" and match["last"] is None
    ends = [kind.number(match["first"]), kind.number(match["last"] or match["first"])]
    return None not in ends
