"""Following the Jobs of a cluster: how they end, and which never can begin.

Two threads watch the Jobs and pods that agents have made.  When a watch breaks, everything is listed anew, so that no
end is missed; while the cluster's API is away that is tried again, with growing pauses, for ever.  A Job that has ended
is deleted unless that is disabled, and so is one that ended long ago and that nobody follows: its agent is gone.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from flowstead_agent.errors import KubernetesApiError
from flowstead_agent.launchers.kubernetes_api import Event, KubernetesApi
from flowstead_agent.launchers.kubernetes_jobs import IDENTIFIER
from flowstead_agent.launchers.kubernetes_states import (
    JobOutcome,
    event_text,
    event_time,
    failed_pods,
    failure_report,
    first_container,
    is_older,
    job_outcome,
    label_of,
    name_of,
    pending_names,
    unstartable,
)
from flowstead_agent.launchers.protocol import ClaimedRun, Ended, Note

__all__ = ["EVENT_SECONDS", "FollowedJob", "JobFollower"]

_GONE = 410
_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0
_CLOSE_SECONDS = 2.0
_FORGOTTEN = timedelta(minutes=2)
EVENT_SECONDS = 5.0
_LOG_LINES = 100
_LOG_LENGTH = 4096


@dataclass(slots=True)
class FollowedJob:
    """A Job of this agent, while anybody wants to know about it."""

    claimed: ClaimedRun
    identifier: str
    name: str
    ended: "asyncio.Future[Ended]"
    gone: "asyncio.Future[None]"
    """done when neither the Job nor its pods are there any more"""
    pods: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """its pods by name, as they were last seen"""
    is_created: bool = False
    is_ending: bool = False


class JobFollower:
    """Follows Jobs from before their creation.  Belongs to the event loop that `start` is called in."""

    def __init__(
        self,
        api: KubernetesApi,
        logger: logging.Logger,
        *,
        delete_finished: bool = True,
        pause_seconds: float = _PAUSE_SECONDS,
        event_seconds: float = EVENT_SECONDS,
    ) -> None:
        self._api = api
        self._logger = logger
        self._delete_finished = delete_finished
        self._pause_seconds = pause_seconds
        self._event_seconds = event_seconds
        self.write: Callable[[ClaimedRun, Note], None] = lambda _run, _note: None
        """takes what there is to say about runs that wait for their pods"""
        self._followed: dict[str, FollowedJob] = {}
        self._closed = threading.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to watch."""
        self._loop = asyncio.get_running_loop()
        for what in ("jobs", "pods"):
            thread = threading.Thread(target=self._watch, args=(what,), name=f"kubernetes-{what}", daemon=True)
            self._threads.append(thread)
            thread.start()

    async def close(self) -> None:
        """Stop watching; Jobs go on."""
        self._closed.set()
        self._api.close()
        for task in self._tasks:
            task.cancel()
        for followed in self._followed.values():
            followed.ended.cancel()
            followed.gone.cancel()
        await asyncio.to_thread(self._join)

    def _join(self) -> None:
        deadline = time.monotonic() + _CLOSE_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def expect(self, claimed: ClaimedRun, identifier: str, name: str) -> FollowedJob:
        """Follow a Job that is about to be created."""
        followed = FollowedJob(claimed, identifier, name, self._loop.create_future(), self._loop.create_future())
        self._followed[identifier] = followed
        return followed

    def created(self, followed: FollowedJob) -> None:
        """Note that a Job that was expected is there."""
        followed.is_created = True
        self._spawn(self._tell_events(followed))

    def forget(self, followed: FollowedJob) -> None:
        """Follow a Job no more."""
        self._followed.pop(followed.identifier, None)

    # -- in the loop -------------------------------------------------------------------------------------------------

    def _happened(self, what: str, event: Event) -> None:
        followed = self._followed.get(label_of(event.resource, IDENTIFIER))
        if followed is None:
            return
        if what == "pods":
            self._pod_changed(followed, event.resource)
        elif event.kind == "DELETED":
            self._job_gone(followed)
        else:
            outcome = job_outcome(event.resource)
            if outcome is not None:
                self._begin_end(followed, self._finish(followed, outcome))

    def _pod_changed(self, followed: FollowedJob, pod: Mapping[str, Any]) -> None:
        followed.pods[name_of(pod)] = pod
        problem = unstartable(pod)
        if problem:
            self._begin_end(followed, self._give_up(followed, problem))

    def _job_gone(self, followed: FollowedJob) -> None:
        if not followed.is_ending and not followed.ended.done():
            followed.ended.set_result(
                Ended(ok=False, reason=f"The Job of the flow run ({followed.name}) was deleted.", output="")
            )
        if not followed.gone.done():
            followed.gone.set_result(None)
        self.forget(followed)

    def _begin_end(self, followed: FollowedJob, end: Coroutine[Any, Any, None]) -> None:
        if followed.is_ending or followed.ended.done():
            end.close()
            return
        followed.is_ending = True
        self._spawn(end)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _finish(self, followed: FollowedJob, outcome: JobOutcome) -> None:
        ended = Ended(ok=True, reason=f"The Job of the flow run ({followed.name}) is complete.", output="")
        if not outcome.ok:
            ended = await asyncio.to_thread(self._failure, followed.identifier, followed.name, outcome.message)
            self._logger.info("Job %s has failed: %s", followed.name, outcome.message)
        await self._end(followed, ended)

    async def _give_up(self, followed: FollowedJob, problem: str) -> None:
        await self._end(followed, Ended(ok=False, reason=f"Kubernetes Error: {problem}", output=""))

    async def _end(self, followed: FollowedJob, ended: Ended) -> None:
        if not followed.ended.done():
            followed.ended.set_result(ended)
        # What cannot be deleted now is cleared away with what others have left.
        if not self._delete_finished or not await asyncio.to_thread(self._delete, followed.name):
            self.forget(followed)

    async def _tell_events(self, followed: FollowedJob) -> None:
        """Write what happens to a Job that does not begin into the log of its run, until it does."""
        told: dict[str, datetime] = {}
        while True:
            await asyncio.wait([followed.ended], timeout=self._event_seconds)
            names = [] if followed.ended.done() else pending_names(followed.name, followed.pods.values())
            if not names:
                return
            for moment, identity, event in await asyncio.to_thread(self._events, names):
                if identity not in told or moment > told[identity]:
                    told[identity] = moment
                    self.write(followed.claimed, Note(moment, "k8s-infra", "DEBUG", event_text(event)))

    def _listed(self, what: str, resources: list[dict[str, Any]], created: set[str]) -> None:
        for resource in resources:
            self._happened(what, Event("MODIFIED", resource))
        if what == "pods":
            self._clear_unstartable(resources)
            return
        here = {label_of(job, IDENTIFIER) for job in resources}
        for identifier in created - here:
            if identifier in self._followed:
                self._job_gone(self._followed[identifier])
        for job in resources:
            outcome = job_outcome(job)
            if (
                outcome is not None
                and self._delete_finished
                and label_of(job, IDENTIFIER) not in self._followed
                and datetime.now(UTC) - outcome.since > _FORGOTTEN
            ):
                self._spawn(self._clear_away(job, outcome))

    def _clear_unstartable(self, pods: list[dict[str, Any]]) -> None:
        """Delete the Jobs of agents that are gone which would wait for ever."""
        for pod in pods if self._delete_finished else ():
            job_name = label_of(pod, "job-name")
            if (
                job_name
                and label_of(pod, IDENTIFIER) not in self._followed
                and is_older(pod, _FORGOTTEN)
                and unstartable(pod)
            ):
                self._logger.warning("Job %s of an earlier agent can never start: %s", job_name, unstartable(pod))
                self._spawn(self._clear_away_now(job_name))

    async def _clear_away_now(self, name: str) -> None:
        await asyncio.to_thread(self._delete, name)

    async def _clear_away(self, job: Mapping[str, Any], outcome: JobOutcome) -> None:
        name = name_of(job)
        if not outcome.ok:
            ended = await asyncio.to_thread(self._failure, label_of(job, IDENTIFIER), name, outcome.message)
            self._logger.warning("Job %s of an earlier agent has failed: %s\n%s", name, ended.reason, ended.output)
        await self._clear_away_now(name)

    # -- in threads --------------------------------------------------------------------------------------------------

    def _watch(self, what: str) -> None:
        failures = 0
        while not self._closed.is_set():
            pause = self._pause_seconds
            try:
                created = {one.identifier for one in list(self._followed.values()) if one.is_created}
                resources, version = self._api.list_all(what)
                self._tell(self._listed, what, resources, created)
                for event in self._api.watch(what, version):
                    failures = self._connected(what, failures)
                    self._tell(self._happened, what, event)
                failures = self._connected(what, failures)
            except Exception as error:
                if self._closed.is_set():
                    return
                if not (isinstance(error, KubernetesApiError) and error.status == _GONE):
                    failures += 1
                    level = logging.WARNING if failures == 1 else logging.DEBUG
                    self._logger.log(level, "The %s in the cluster cannot be watched, trying again: %s", what, error)
                    pause = min(_LONGEST_PAUSE_SECONDS, pause * 2.0 ** min(failures, 10))
            self._closed.wait(pause)

    def _connected(self, what: str, failures: int) -> int:
        if failures:
            self._logger.info("The %s in the cluster are watched again.", what)
        return 0

    def _failure(self, identifier: str, name: str, message: str) -> Ended:
        try:
            pods, _ = self._api.list_all("pods", f"{IDENTIFIER}={identifier}")
        except KubernetesApiError as error:
            return Ended(ok=False, reason=f"Kubernetes Error: job {name} failed: {message}", output=str(error))
        failed = failed_pods(pods)
        if not failed:
            return Ended(ok=False, reason=f"Kubernetes Error: job {name} failed: {message}", output="")
        report = failure_report(failed)
        # Not every agent may read logs, and not every pod has one.
        with contextlib.suppress(KubernetesApiError):
            report += (
                "\n"
                + self._api.pod_log(name_of(failed[-1]), first_container(failed[-1]), _LOG_LINES)[-_LOG_LENGTH:].strip()
            )
        names = [name_of(pod) for pod in failed]
        return Ended(ok=False, reason=f"Kubernetes Error: pods {names} failed for this job", output=report.strip())

    def _events(self, names: list[str]) -> list[tuple[datetime, str, Mapping[str, Any]]]:
        found = []
        # Not every agent may read events, and the next round asks again.
        with contextlib.suppress(KubernetesApiError):
            for event in (event for name in names for event in self._api.events_of(name)):
                moment = event_time(event)
                if moment is not None:
                    found.append((moment, name_of(event), event))
        return sorted(found, key=lambda one: one[0])

    def _delete(self, name: str) -> bool:
        try:
            self._api.delete_job(name)
        except KubernetesApiError as error:
            self._logger.warning("Job %s has ended and cannot be deleted: %s", name, error)
            return False
        return True

    def _tell(self, target: Callable[..., None], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the agent has ended, and its loop with it
            self._loop.call_soon_threadsafe(target, *arguments)
