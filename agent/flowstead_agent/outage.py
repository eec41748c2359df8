"""Pauses that grow, and an outage that is told once.  No network here."""

import logging
import random

__all__ = ["Backoff", "Outage"]


class Backoff:
    """Pauses after failures: each up to twice as long as the one before, and random so that agents spread."""

    def __init__(self, first_seconds: float = 0.5, most_seconds: float = 10.0) -> None:
        self._first = first_seconds
        self._most = most_seconds
        self._next = first_seconds

    def pause(self) -> float:
        """Return how many seconds to wait now."""
        seconds = self._next * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, hides nothing
        self._next = min(self._most, self._next * 2)
        return seconds

    def reset(self) -> None:
        """Start again from the shortest pause."""
        self._next = self._first


class Outage:
    """Tells the log when the API goes away and when it is back, once each, whoever notices it."""

    def __init__(self, logger: logging.Logger, url: str) -> None:
        self._logger = logger
        self._url = url
        self._away = False

    @property
    def away(self) -> bool:
        """Whether the last request failed."""
        return self._away

    def failed(self, error: Exception) -> None:
        """Note that a request failed."""
        if not self._away:
            self._away = True
            self._logger.error("%s The agent waits, and goes on when the API answers.", error)
        else:
            self._logger.debug("The API at %s is still away: %s", self._url, error)

    def succeeded(self) -> None:
        """Note that a request was answered."""
        if self._away:
            self._away = False
            self._logger.info("The API at %s answers again.", self._url)
