"""The labels of an agent: where they come from and which one the host name adds.  Pure, but for asking the host.
name.

A flow run is for an agent when the run's labels are a subset of the agent's; the API matches them.
"""

import socket
from collections.abc import Iterable

from flowstead_agent.errors import AgentError

__all__ = ["checked_labels", "hostname_label", "with_hostname_label"]

# Every container of Docker Desktop's host network has this name; an address tells machines apart.
_SHARED_HOST_NAME = "docker-desktop"


def hostname_label() -> str:
    """Return the label of this machine: its host name, as `Local` storage gives it to the flows it stores."""
    name = socket.gethostname()
    return socket.gethostbyname(name) if name == _SHARED_HOST_NAME else name


def with_hostname_label(labels: Iterable[str], label: str) -> list[str]:
    """Return `labels` with the host's label appended, unless it is among them.

    Raises `AgentError` for a plain string, which would silently become one label per letter.
    """
    result = checked_labels(labels)
    return result if label in result else [*result, label]


def checked_labels(labels: Iterable[str]) -> list[str]:
    """Return `labels` as a list without duplicates, in their order.

    Raises `AgentError` for a plain string and for members that are no strings.
    """
    if isinstance(labels, str):
        raise AgentError(f"Labels must be a list of strings, not the string {labels!r}: write ['{labels}'].")
    result = list(dict.fromkeys(labels))
    for label in result:
        if not isinstance(label, str):
            raise AgentError(f"Labels must be strings, and {label!r} is none.")
    return result
