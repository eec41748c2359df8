"""Moments as users write them: ISO 8601, or `in 10 minutes`.  Pure; raises `CliError`."""

import re
from datetime import datetime, timedelta

from flowstead_cli.errors import CliError

__all__ = ["parse_start"]

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_UNITS = {
    word: letter
    for letter, words in {
        "s": "s sec secs second seconds",
        "m": "m min mins minute minutes",
        "h": "h hr hrs hour hours",
        "d": "d day days",
        "w": "w week weeks",
    }.items()
    for word in words.split()
}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)")
_FORMS = "Write a time in ISO form, such as 2030-01-31T18:00 or 2030-01-31T18:00+01:00, or `in 10 minutes`."


def parse_start(text: str, now: datetime) -> datetime:
    """Return the start time that a user wrote, as an aware datetime.

    Args:
        text: ISO 8601, without a zone in the zone of this machine; or `in` and numbers with units, such as `in 1h 30m`.
        now: this moment, aware.

    Raises:
        CliError: it is neither, or the moment is not in the future.
    """
    words = text.strip().lower()
    moment = _ahead(text, words[2:].strip(), now) if re.match(r"in\b", words) else _iso(text)
    if moment <= now:
        raise CliError(
            f"The start time {text!r} is in the past: it is {moment.isoformat(timespec='seconds')}, and now it is "
            f"{now.astimezone(moment.tzinfo).isoformat(timespec='seconds')}. Leave `--start` out to start now."
        )
    return moment


def _iso(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment if moment.tzinfo is not None else moment.astimezone()
    except (ValueError, OverflowError):
        raise CliError(f"{text!r} is no start time. {_FORMS}") from None


def _ahead(text: str, rest: str, now: datetime) -> datetime:
    parts = _PART.findall(rest)
    spelled = re.sub(r"\band\b|,", " ", rest)
    if not parts or _PART.sub("", spelled).strip() or any(unit not in _UNITS for _, unit in parts):
        raise CliError(f"{text!r} is no start time. {_FORMS}")
    seconds = sum(float(number) * _SECONDS[_UNITS[unit]] for number, unit in parts)
    try:
        return (now + timedelta(seconds=seconds)).astimezone()
    except (OverflowError, OSError, ValueError):
        raise CliError(f"The start time {text!r} is too far away. {_FORMS}") from None
