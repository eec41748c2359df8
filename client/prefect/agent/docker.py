"""`from prefect.agent.docker import DockerAgent`."""

from flowstead_agent.docker import DockerAgent

__all__ = ["DockerAgent"]
