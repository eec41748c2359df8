"""Flow runs as Jobs of a Kubernetes cluster.

Each run is a Job made of a template.  A template that is none, and whatever the cluster refuses, raises `LaunchError`;
when nobody answers, the Job may have been created, which `LaunchOutcomeUnknownError` says.  How a Job ends is heard
from the cluster; see `kubernetes_follower`.
"""

import asyncio
import logging
import math
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from flowstead_agent.errors import AgentError, KubernetesApiError, LaunchError, LaunchOutcomeUnknownError
from flowstead_agent.launchers.images import checked_run_config
from flowstead_agent.launchers.kubernetes_api import KubernetesApi
from flowstead_agent.launchers.kubernetes_follower import EVENT_SECONDS, FollowedJob, JobFollower
from flowstead_agent.launchers.kubernetes_jobs import IDENTIFIER, JobSettings, checked_template, job_manifest
from flowstead_agent.launchers.kubernetes_states import exit_codes
from flowstead_agent.launchers.kubernetes_templates import read_template
from flowstead_agent.launchers.protocol import ClaimedRun, Ended, Launched, Note

__all__ = ["KubernetesJob", "KubernetesLauncher"]

_ATTEMPTS = 3
_RETRY_SECONDS = 1.0
_BEHIND_LOOKS = 40
_BEHIND_SECONDS = 0.05
_PATIENT = 5
_REMOVAL_SECONDS = 30.0
_KILLED = 128 + 9


class KubernetesJob:
    """A launched run: a Job."""

    def __init__(self, api: KubernetesApi, followed: FollowedJob, logger: logging.Logger, retry_seconds: float) -> None:
        self._api = api
        self._followed = followed
        self._logger = logger
        self._retry_seconds = retry_seconds

    @property
    def description(self) -> str:
        """Return `Job …`."""
        return f"Job {self._followed.name}"

    @property
    def ended(self) -> "asyncio.Future[Ended]":
        """Return how the Job ended, when it has."""
        return asyncio.shield(self._followed.ended)

    async def terminate(self, grace_seconds: float) -> str:
        """Delete the Job and its pods, whose processes get SIGTERM, and SIGKILL after `grace_seconds`.

        Raises `LaunchError` if the cluster refuses.
        """
        followed = self._followed
        what = f"Job {followed.name}"
        if followed.ended.done():
            return f"nothing: {what} had ended by itself"
        while True:
            try:
                pods = await asyncio.to_thread(self._delete, grace_seconds)
                break
            except KubernetesApiError as error:
                if not error.is_passing:
                    raise LaunchError(f"{what} cannot be deleted: {error}") from error
                # It must end, however long the cluster is away, unless it ends by itself.
                self._logger.warning("%s cannot be deleted yet, trying again: %s", what, error)
            await asyncio.wait([followed.ended], timeout=self._retry_seconds * _PATIENT)
            if followed.ended.done():
                return f"nothing: {what} had ended by itself"
        done, _ = await asyncio.wait([followed.gone], timeout=grace_seconds + _REMOVAL_SECONDS)
        what += f" with {', '.join(pods)}" if pods else ""
        if not done:
            return f"{what} (deleted, but its pods are still there)"
        # The end of the pods is told on a stream of its own, which may be a moment behind that of the Jobs.
        for _ in range(_BEHIND_LOOKS):
            if not pods or exit_codes(followed.pods.values()):
                break
            await asyncio.sleep(_BEHIND_SECONDS)
        how = "SIGKILL" if _KILLED in exit_codes(followed.pods.values()) else "SIGTERM"
        return f"{what} by {how}" if pods else what

    def _delete(self, grace_seconds: float) -> list[str]:
        # The Job first, so that no pod takes the place of those that go. Its own deletion would give them the grace
        # period of their template.
        self._api.delete_job(self._followed.name)
        pods, _ = self._api.list_all("pods", f"{IDENTIFIER}={self._followed.identifier}")
        names = sorted(str(pod["metadata"]["name"]) for pod in pods)
        for name in names:
            # Zero would take the pod out of the books while its processes live.
            self._api.delete_pod(name, max(1, math.ceil(grace_seconds)))
        return names


class KubernetesLauncher:
    """Starts runs as Jobs; see the module.  Belongs to one event loop."""

    supported_run_config = "KubernetesRun"

    def __init__(
        self,
        settings: JobSettings,
        api: KubernetesApi,
        logger: logging.Logger,
        *,
        delete_finished: bool = True,
        retry_seconds: float = _RETRY_SECONDS,
        event_seconds: float = EVENT_SECONDS,
    ) -> None:
        self._settings = settings
        self._api = api
        self._logger = logger
        self._retry_seconds = retry_seconds
        self._follower = JobFollower(
            api, logger, delete_finished=delete_finished, pause_seconds=retry_seconds, event_seconds=event_seconds
        )

    def report_to(self, write: Callable[[ClaimedRun, Note], None]) -> None:
        """Hand the events of pods that do not start to `write`."""
        self._follower.write = write

    async def start(self) -> None:
        """See that the cluster is there and lets this agent in.  Raises `AgentError`."""
        try:
            await asyncio.to_thread(self._api.list_all, "jobs")
        except KubernetesApiError as error:
            raise AgentError(
                f"The Jobs in the namespace {self._api.namespace!r} of the cluster cannot be seen. {error}"
            ) from error
        self._follower.start()

    async def launch(self, claimed: ClaimedRun) -> Launched:
        """Start a run.  Raises `LaunchError` and `LaunchOutcomeUnknownError`."""
        run_config = checked_run_config(claimed, self.supported_run_config)
        template = await asyncio.to_thread(_own_template, run_config)
        identifier = uuid.uuid4().hex[:8]
        manifest = job_manifest(claimed, run_config, template, self._settings, identifier)
        # Before it is created: it may end before anybody could ask for it.
        followed = self._follower.expect(claimed, identifier, manifest["metadata"]["name"])
        try:
            await self._submit(manifest, claimed)
        except BaseException:
            self._follower.forget(followed)
            raise
        self._follower.created(followed)
        self._logger.debug("Submitted flow run %s as Job %s", claimed.flow_run_id, followed.name)
        return KubernetesJob(self._api, followed, self._logger, self._retry_seconds)

    async def watch(self) -> None:
        """Look after the cluster, which may be away for as long as it likes."""
        await asyncio.get_running_loop().create_future()

    async def close(self) -> None:
        """Stop following; Jobs go on."""
        await self._follower.close()

    async def _submit(self, manifest: Mapping[str, Any], claimed: ClaimedRun) -> None:
        name = manifest["metadata"]["name"]
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                # One that is there already is ours: an earlier attempt got through.
                await asyncio.to_thread(self._api.create_job, manifest)
            except KubernetesApiError as error:
                if not error.is_passing:
                    raise LaunchError(str(error)) from error
                if attempt == _ATTEMPTS:
                    raise LaunchOutcomeUnknownError(
                        f"Job {name} of flow run {claimed.flow_run_id} could not be submitted: {error}"
                    ) from error
                self._logger.warning("Error submitting job %s, retrying... (%s)", name, error)
                await asyncio.sleep(self._retry_seconds)
            else:
                return


def _own_template(run_config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the template that a run config brings, None if it brings none."""
    if run_config.get("job_template"):
        return checked_template(run_config["job_template"], "of the run config")
    path = run_config.get("job_template_path")
    return read_template(str(path)) if path else None
