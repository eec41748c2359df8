"""How events of cloud hooks are delivered: how often they are tried, when again, what is kept how long."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from flowstead_server.domain.addresses import AddressRules

_GROWTH: Final = 3.0
_MOST_SECONDS: Final = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class HookRules:
    """How a server delivers. `timeout`: seconds for each request, null: as the type of the hook wants it.

    `attempts`: how often a delivery is tried before it is dead. The first pause is about `first_pause`, each one after
    it three times as long, up to `longest_pause`.
    """

    attempts: int = 10
    first_pause: timedelta = timedelta(seconds=5)
    longest_pause: timedelta = timedelta(hours=1)
    timeout: float | None = None
    link_base: str = "http://localhost:4200"
    addresses: AddressRules = field(default_factory=AddressRules)
    keep_delivered: timedelta = timedelta(days=1)
    keep_dead: timedelta = timedelta(days=30)


def pause_after(attempts: int, rules: HookRules, chance: float, wanted: timedelta = timedelta(0)) -> timedelta | None:
    """Return how long to wait after the failed attempt number `attempts` (from 1); null: that was the last one.

    `chance` (0 to 1) spreads what failed together: the pause is between its half and its whole. `wanted`: what the
    receiver asked for, which counts up to the longest pause.
    """
    if attempts >= rules.attempts:
        return None
    # the exponent is bounded, or many attempts would be more than a number can hold
    seconds = rules.first_pause.total_seconds() * _GROWTH ** min(attempts - 1, 30)
    whole = min(timedelta(seconds=min(seconds, _MOST_SECONDS)), rules.longest_pause)
    return max(whole * (0.5 + chance / 2), min(wanted, rules.longest_pause))
