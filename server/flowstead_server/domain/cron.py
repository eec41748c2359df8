"""Whether a text is a cron expression. When it fires is the scheduler's business.

Five fields (minute, hour, day of month, month, day of week), or six with seconds at the end, or one of the `@` names;
the rest is croniter's word, which the library's own schedules follow too.
"""

from __future__ import annotations

import re
from typing import Final

_FIELD_COUNTS: Final = (5, 6)
# croniter draws such a field's value anew for each expression it reads: two servers would not agree
_RANDOM: Final = re.compile(r"(?:^|[\s,])r", re.IGNORECASE)


def is_cron(text: str) -> bool:
    """Say whether a text is a cron expression."""
    from croniter import croniter  # noqa: PLC0415 - its import would delay the start of every server

    stripped = text.strip()
    if len(stripped.split()) not in _FIELD_COUNTS and not stripped.startswith("@"):
        return False
    return bool(croniter.is_valid(stripped)) and not is_random(stripped)


def is_random(text: str) -> bool:
    """Say whether an expression has a field that is drawn by lot, so that no two readers of it agree."""
    return _RANDOM.search(text) is not None
