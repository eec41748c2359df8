"""What an agent is told once, when it is made.  Pure data."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from os import cpu_count

__all__ = ["AgentSettings"]


def _launch_slots() -> int:
    return min(32, 2 * (cpu_count() or 1) + 4)


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """Settings of every platform's agent; times are in seconds."""

    kind: str
    """class name, which the API lists as the agent's type, such as `LocalAgent`"""
    name: str
    labels: Sequence[str] = ()
    agent_config_id: str | None = None
    max_polls: int | None = None
    """rounds of asking for work before the agent ends; None for ever"""
    max_concurrent: int | None = None
    """how many runs may be claimed or running at the same time; None for as many as come"""
    launch_slots: int = field(default_factory=_launch_slots)
    """how many runs may be starting at the same time; running ones are not counted"""
    settle_seconds: float = 0.5
    """how long a launched run counts as starting, unless it ends before"""
    prefetch_seconds: float = 10.0
    """how long before its start a run may be claimed; no more than the time between two polls, so that none is late"""
    max_waiting: int = 100
    """how many runs may be claimed and wait for their start"""
    poll_seconds: float = 15.0
    """the time between two polls while a subscription says when there is work"""
    lease_seconds: int = 15
    """how long a claim holds unless it is extended; an agent that died loses its unstarted runs after that"""
    stop_seconds: float = 5.0
    """how long each step of an orderly end may take"""
    grace_seconds: float = 10.0
    """the time between SIGTERM and SIGKILL for a process that the agent ends"""
