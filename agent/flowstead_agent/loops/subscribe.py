"""The subscription `runs_ready`: the API says when there may be work, and which runs are to be stopped.

A stream that breaks is opened again, with growing pauses.  An API that accepts no websockets is said once and asked
again rarely; polling does the work meanwhile.
"""

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta

from flowstead_agent.api import AgentApi
from flowstead_agent.deployments import Deployments
from flowstead_agent.errors import ApiError, NoSubscriptionsError
from flowstead_agent.loops.wake import WakeUp
from flowstead_agent.outage import Backoff, Outage

__all__ = ["Subscribed", "subscribe"]

_REFUSED_SECONDS = 300.0


@dataclass(slots=True)
class Subscribed:
    """Whether the subscription is up."""

    now: bool = False


async def subscribe(
    api: AgentApi,
    wake: WakeUp,
    subscribed: Subscribed,
    deployments: Deployments,
    outage: Outage,
    logger: logging.Logger,
    *,
    lead_seconds: float,
) -> None:
    """Wake the consumer whenever the API has work or will have some in `lead_seconds`, and stop runs; for ever."""
    backoff = Backoff()
    told = False
    while True:
        try:
            async for hint in api.hints():
                outage.succeeded()
                backoff.reset()
                subscribed.now = True
                deployments.cancel(hint.cancelling)
                if hint.waiting:
                    wake.now()
                elif hint.next_start_time is not None:
                    wake.at(hint.next_start_time - timedelta(seconds=lead_seconds))
            pause = backoff.pause()
        except NoSubscriptionsError as error:
            pause = _REFUSED_SECONDS
            if not told:
                told = True
                logger.warning("%s The agent polls for flow runs instead.", error)
        except ApiError as error:
            outage.failed(error)
            pause = backoff.pause()
        finally:
            subscribed.now = False
        # whatever happened while nobody listened
        wake.now()
        await asyncio.sleep(pause)
