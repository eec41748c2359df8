"""What the agents say about a run that waits for one."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

__all__ = ["AgentFacts", "agent_hint", "check_for_compatible_agents"]


class AgentFacts(Protocol):
    """What has to be known about an agent."""

    @property
    def id(self) -> str:
        """The agent's id."""
        ...

    @property
    def name(self) -> str | None:
        """The agent's name."""
        ...

    @property
    def labels(self) -> Sequence[str]:
        """The labels of the runs that it takes."""
        ...

    @property
    def last_queried(self) -> datetime | None:
        """When it last asked for runs."""
        ...


def check_for_compatible_agents(labels: Iterable[str], since_minutes: int = 1) -> str:
    """Return a sentence on which agent could take a run with these labels, asking the API for its agents."""
    from prefect._generated import operations as ops  # noqa: PLC0415 - the rest of the module is pure
    from prefect.client import Client  # noqa: PLC0415 - as above

    return agent_hint(labels, Client().execute(ops.agents()), since_minutes=since_minutes)


def agent_hint(
    labels: Iterable[str], agents: Iterable[AgentFacts], *, since_minutes: float = 1, now: datetime | None = None
) -> str:
    """Return which of these agents could take a run with these labels, or what is missing.

    An agent is healthy if it asked for runs in the last `since_minutes`.
    """
    wanted = set(labels)
    now = now or datetime.now(UTC)
    since = now - timedelta(minutes=since_minutes)
    needed = f"labels {{{', '.join(map(repr, sorted(wanted)))}}}" if wanted else "empty labels"
    healthy, matching, asleep = 0, [], []
    for agent in agents:
        if agent.last_queried is None:
            continue
        has = set(agent.labels)
        fits = wanted <= has if wanted else not has
        if agent.last_queried >= since:
            healthy += 1
            if fits:
                matching.append(agent)
        elif fits:
            asleep.append(agent)
    if len(matching) == 1:
        return f"{_described(matching[0], now)} It should deploy your flow run."
    if matching:
        return f"Found {len(matching)} healthy agents with matching labels. One of them should pick up your flow."
    if not healthy and not asleep:
        return (
            "There are no healthy agents in your tenant and it does not look like an agent with the required labels "
            f"has been run recently. Start an agent with {needed} to run your flow."
        )
    if len(asleep) == 1:
        return (
            f"{_described(asleep[0], now)} Since it hasn't queried recently, it looks unhealthy. Restart it or start a "
            f"new agent with {needed} to deploy your flow run."
        )
    if asleep:
        return (
            f"Found {len(asleep)} agents with matching labels but they have not queried recently and look unhealthy. "
            f"Restart one of them or start a new agent with {needed} to deploy your flow run."
        )
    return (
        f"You have {healthy} healthy agents in your tenant but do not have an agent with {needed}. Start an agent with "
        "matching labels to deploy your flow run."
    )


def _described(agent: AgentFacts, now: datetime) -> str:
    import pendulum  # noqa: PLC0415 - takes a while to load

    assert agent.last_queried is not None
    ago = pendulum.instance(agent.last_queried).diff_for_humans(pendulum.instance(now)).replace("before", "ago")
    name = f" ({agent.name})" if agent.name else ""
    return f"Agent {agent.id}{name} has matching labels and last queried {ago}."
