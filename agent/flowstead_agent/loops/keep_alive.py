"""Extends the claims of the runs that wait for their start or whose process lives.

The answer says which claims are lost, and which runs are to be stopped, in case no subscription says so sooner.
"""

import asyncio

from flowstead_agent.api import AgentApi
from flowstead_agent.deployments import Deployments
from flowstead_agent.errors import ApiError
from flowstead_agent.outage import Outage

__all__ = ["keep_alive"]

_RETRY_SECONDS = 1.0


async def keep_alive(api: AgentApi, deployments: Deployments, outage: Outage, lease_seconds: int) -> None:
    """Extend claims three times per lease, for ever; no request is sent while nothing is claimed."""
    while True:
        pause = lease_seconds / 3
        held = deployments.held()
        if held:
            asked_at = asyncio.get_running_loop().time()
            try:
                answer = await api.extend(held, lease_seconds)
            except ApiError as error:
                outage.failed(error)
                pause = _RETRY_SECONDS
            else:
                outage.succeeded()
                deployments.extended(held, answer.lost, until=asked_at + lease_seconds)
                deployments.cancel(answer.cancelling)
        await asyncio.sleep(pause)
