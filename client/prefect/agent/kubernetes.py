"""`from prefect.agent.kubernetes import KubernetesAgent`."""

from flowstead_agent.kubernetes import KubernetesAgent

__all__ = ["KubernetesAgent"]
