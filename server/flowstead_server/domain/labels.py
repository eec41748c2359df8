"""Which labels a run gets, and which runs an agent may take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flowstead_server.domain.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping


# Together, in UTF-8: what an index entry can hold.
MAX_LABEL_BYTES: Final = 2000


def normalized(labels: Iterable[object]) -> list[str]:
    """Return the labels sorted, each once. Raises BadInputError if one is no text or contains NUL, or for too many."""
    distinct: set[str] = set()
    for label in labels:
        if not isinstance(label, str) or "\0" in label:
            raise BadInputError(f"A label must be text without NUL characters, but this one is {label!r}.")
        distinct.add(label)
    size = sum(len(label.encode()) for label in distinct)
    if size > MAX_LABEL_BYTES:
        raise BadInputError(f"Labels may have {MAX_LABEL_BYTES} bytes together, but these {len(distinct)} have {size}.")
    return sorted(distinct)


def labels_of_config(config: Mapping[str, Any] | None) -> list[str]:
    """Return the labels inside a run config or environment; none if it has none."""
    labels = (config or {}).get("labels")
    if labels is None:
        return []
    if not isinstance(labels, list):
        raise BadInputError(f"The labels of a run config must be a list, but they are {labels!r}.")
    return normalized(labels)


def resolve_labels(
    *,
    given: Collection[str] | None,
    given_run_config: Mapping[str, Any] | None,
    group_labels: Collection[str] | None,
    group_run_config: Mapping[str, Any] | None,
    flow_run_config: Mapping[str, Any] | None,
    flow_environment: Mapping[str, Any] | None,
) -> list[str]:
    """Return a new run's labels: the first source that is set wins, whole; an empty list counts as set."""
    if given is not None:
        return normalized(given)
    if given_run_config is not None:
        return labels_of_config(given_run_config)
    if group_labels is not None:
        return normalized(group_labels)
    for config in (group_run_config, flow_run_config, flow_environment):
        if config is not None:
            return labels_of_config(config)
    return []


def may_take(run_labels: Collection[str], agent_labels: Collection[str]) -> bool:
    """Say whether an agent with these labels may take a run with those. Unlabelled runs are for unlabelled agents."""
    if not run_labels:
        return not agent_labels
    return set(run_labels) <= set(agent_labels)
