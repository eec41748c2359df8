"""`from prefect.agent.local import LocalAgent`."""

from flowstead_agent.local import LocalAgent

__all__ = ["LocalAgent"]
