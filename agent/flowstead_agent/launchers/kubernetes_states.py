"""What the Jobs and pods of a cluster say about the flow runs in them.  Pure: all are mappings as the API has them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

__all__ = [
    "JobOutcome",
    "event_text",
    "event_time",
    "exit_codes",
    "failed_pods",
    "failure_report",
    "first_container",
    "is_older",
    "job_outcome",
    "label_of",
    "name_of",
    "pending_names",
    "unstartable",
]

_UNSTARTABLE = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError"})

Resource = Mapping[str, Any]


class JobOutcome(NamedTuple):
    """How a Job ended."""

    ok: bool
    message: str
    since: datetime
    """when it ended, aware"""


def name_of(resource: Resource) -> str:
    """Return the name of a Job or pod."""
    return str((resource.get("metadata") or {}).get("name", ""))


def label_of(resource: Resource, label: str) -> str:
    """Return the value of a label, empty without it."""
    return str(((resource.get("metadata") or {}).get("labels") or {}).get(label, ""))


def job_outcome(job: Resource) -> JobOutcome | None:
    """Return how a Job ended; None while it goes on."""
    for condition in (job.get("status") or {}).get("conditions") or ():
        if condition.get("type") in {"Complete", "Failed"} and condition.get("status") == "True":
            message = condition.get("message") or condition.get("reason") or ""
            since = condition.get("lastTransitionTime")
            moment = datetime.fromisoformat(since) if since else datetime.now(UTC)
            return JobOutcome(condition["type"] == "Complete", message, moment)
    return None


def _statuses(pod: Resource) -> list[Mapping[str, Any]]:
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]


def unstartable(pod: Resource) -> str | None:
    """Return why a container of the pod can never start, most often its image; None if none is known to be so."""
    for status in _statuses(pod):
        waiting = (status.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in _UNSTARTABLE:
            return str(waiting.get("message") or f"{waiting['reason']}: {status.get('image', '')}")
    return None


def failed_pods(pods: Iterable[Resource]) -> list[Resource]:
    """Return those that failed, in the order of their names."""
    failed = (pod for pod in pods if (pod.get("status") or {}).get("phase") == "Failed")
    return sorted(failed, key=name_of)


def first_container(pod: Resource) -> str | None:
    """Return the name of the container that the flow is in, None if the pod does not say."""
    containers = (pod.get("spec") or {}).get("containers") or [{}]
    name = containers[0].get("name")
    return None if name is None else str(name)


def is_older(resource: Resource, age: timedelta) -> bool:
    """Return whether a Job or pod was created longer ago than `age`."""
    created = (resource.get("metadata") or {}).get("creationTimestamp")
    return created is not None and datetime.now(UTC) - datetime.fromisoformat(created) > age


def exit_codes(pods: Iterable[Resource]) -> set[int]:
    """Return the codes with which containers have ended."""
    ends = ((status.get("state") or {}).get("terminated") for pod in pods for status in _statuses(pod))
    return {int(end["exitCode"]) for end in ends if end and "exitCode" in end}


def failure_report(pods: Sequence[Resource]) -> str:
    """Return a block of text on pods that failed: how each of their containers ended."""
    return "\n".join(line for pod in pods for line in _pod_lines(pod))


def _pod_lines(pod: Resource) -> Iterable[str]:
    yield f"Pod {name_of(pod)} failed."
    status = pod.get("status") or {}
    # A pod that was evicted says so itself; its containers may not even have begun.
    if status.get("message") or status.get("reason"):
        yield f"\t{': '.join(status[key] for key in ('reason', 'message') if status.get(key))}"
    statuses = _statuses(pod)
    if not statuses:
        yield "\tNo container statuses found for pod"
    for container in statuses:
        state = container.get("state") or {}
        kind = next((kind for kind in ("running", "waiting", "terminated") if state.get(kind)), "Not Found")
        yield f"\tContainer '{container.get('name')}' state: {kind}"
        end = state.get("terminated") or {}
        for title, key in (
            ("Exit Code", "exitCode"),
            ("Message", "message"),
            ("Reason", "reason"),
            ("Signal", "signal"),
        ):
            if end.get(key) not in {None, ""}:
                yield f"\t\t{title}: {end[key]}"


def pending_names(job_name: str, pods: Iterable[Resource]) -> list[str]:
    """Return what a Job that has not begun waits for: its pods, or itself if it has none yet; none if it has begun."""
    phases = {name_of(pod): (pod.get("status") or {}).get("phase") for pod in pods}
    if not phases:
        return [job_name]
    begun = any(phase not in {"Pending", None} for phase in phases.values())
    return [] if begun else sorted(phases)


def event_time(event: Resource) -> datetime | None:
    """Return when an event happened the last time, None if it does not say."""
    text = event.get("lastTimestamp") or event.get("eventTime") or event.get("firstTimestamp")
    return datetime.fromisoformat(text) if text else None


def event_text(event: Resource) -> str:
    """Return an event in words."""
    what = event.get("involvedObject") or {}
    kind, name = str(what.get("kind", "Pod")).lower(), what.get("name")
    return f"Event: {event.get('reason')!r} on {kind} {name!r}\n\tMessage: {event.get('message')}"
