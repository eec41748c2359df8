"""The Job of a flow run: its template, with what the run config and the agent say put in.  Pure.

What the template has and nobody speaks of is kept.  A template of another shape than a Job's raises `LaunchError`.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flowstead_agent.environment import ApiAccess, container_environment
from flowstead_agent.errors import LaunchError
from flowstead_agent.launchers.images import image_of
from flowstead_agent.launchers.protocol import ClaimedRun

__all__ = ["IDENTIFIER", "JobSettings", "checked_template", "job_manifest"]

IDENTIFIER = "prefect.io/identifier"
_FLOW_RUN_ID = "prefect.io/flow_run_id"
_FLOW_ID = "prefect.io/flow_id"
_COMMAND = ("prefect", "execute", "flow-run")
_NAME_LENGTH = 48
_RESOURCES = (
    ("requests", "memory", "memory_request"),
    ("limits", "memory", "memory_limit"),
    ("requests", "cpu", "cpu_request"),
    ("limits", "cpu", "cpu_limit"),
)


@dataclass(frozen=True, slots=True)
class JobSettings:
    """What every run of a Kubernetes agent has in common."""

    access: ApiAccess
    labels: Sequence[str]
    agent_env: Mapping[str, Any]
    send_logs: bool
    logging_level: str
    default_image: str | None = None
    template: Mapping[str, Any] | None = None
    """the agent's own template; None for the smallest one"""
    service_account_name: str | None = None
    image_pull_secrets: Sequence[str] = ()
    volumes: Sequence[Mapping[str, Any]] = ()
    volume_mounts: Sequence[Mapping[str, Any]] = ()
    resources: Mapping[str, str] = field(default_factory=dict)
    """`memory_request` and so on, where neither run config nor template says it"""
    image_pull_policy: str | None = None
    """where neither run config nor template says it"""


def checked_template(template: Any, source: str) -> Mapping[str, Any]:
    """Return a template if it may be one of a Job; raises `LaunchError`."""
    kind = template.get("kind", "Job") if isinstance(template, Mapping) else None
    if kind != "Job":
        what = f"a {kind}" if kind else f"{type(template).__name__}"
        raise LaunchError(f"The job template {source} must be a mapping that describes a Job, but is {what}.")
    return template  # type: ignore[no-any-return] # it is a mapping, or it would have no kind


def job_manifest(
    claimed: ClaimedRun,
    run_config: Mapping[str, Any],
    template: Mapping[str, Any] | None,
    settings: JobSettings,
    identifier: str,
) -> dict[str, Any]:
    """Return the Job of a run.

    `template` is the run config's own one, None for that of the settings; `identifier` tells the Job from all others.
    """
    job: dict[str, Any] = copy.deepcopy(dict(template or settings.template or {}))
    job.setdefault("apiVersion", "batch/v1")
    job.setdefault("kind", "Job")
    metadata = _mapping(job, "metadata")
    name = str(metadata.get("name") or "prefect-job")[:_NAME_LENGTH].rstrip("-.")
    metadata.pop("generateName", None)
    metadata["name"] = f"{name}-{identifier}"
    spec = _mapping(job, "spec")
    # One run, one pod: a second one would find a run that is executed, or over.
    spec.setdefault("backoffLimit", 0)
    pod_template = _mapping(spec, "template")
    labels = {IDENTIFIER: identifier, _FLOW_RUN_ID: claimed.flow_run_id, _FLOW_ID: claimed.flow_id}
    for owner in (metadata, _mapping(pod_template, "metadata")):
        _mapping(owner, "labels").update(labels)
    pod = _mapping(pod_template, "spec")
    pod.setdefault("restartPolicy", "Never")
    _set_identity(pod, run_config, settings, is_own=template is not None)
    containers = _list(pod, "containers")
    if not containers:
        containers.append({})
    if not isinstance(containers[0], dict):
        raise LaunchError("The first container of the job template is no mapping.")
    _fill_container(containers[0], claimed, run_config, settings)
    if settings.volumes:
        _list(pod, "volumes").extend(copy.deepcopy(dict(volume)) for volume in settings.volumes)
    return job


def _set_identity(pod: dict[str, Any], run_config: Mapping[str, Any], settings: JobSettings, *, is_own: bool) -> None:
    """Say on whose behalf the pod runs; what the run config's own template has beats what the agent has."""
    account = run_config.get("service_account_name")
    if account is None and not (is_own and pod.get("serviceAccountName")):
        account = settings.service_account_name
    if account is not None:
        pod["serviceAccountName"] = account
    secrets = run_config.get("image_pull_secrets")
    if not secrets and not (is_own and pod.get("imagePullSecrets")):
        secrets = settings.image_pull_secrets
    if secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in secrets]


def _fill_container(
    container: dict[str, Any], claimed: ClaimedRun, run_config: Mapping[str, Any], settings: JobSettings
) -> None:
    container.setdefault("name", "flow")
    image = image_of(claimed, run_config, settings.default_image, container.get("image"))
    container["image"] = image
    policy = run_config.get("image_pull_policy") or container.get("imagePullPolicy") or settings.image_pull_policy
    if policy:
        container["imagePullPolicy"] = policy
    container["args"] = list(_COMMAND)
    environment = _environment(claimed, run_config, settings, image)
    kept = [entry for entry in _list(container, "env") if entry.get("name") not in environment]
    container["env"] = [{"name": name, "value": value} for name, value in environment.items()] + kept
    resources = _mapping(container, "resources")
    for part, name, key in _RESOURCES:
        amounts = _mapping(resources, part)
        if run_config.get(key):
            amounts[name] = run_config[key]
        elif settings.resources.get(key):
            amounts.setdefault(name, settings.resources[key])
    if settings.volume_mounts:
        _list(container, "volumeMounts").extend(copy.deepcopy(dict(mount)) for mount in settings.volume_mounts)


def _environment(
    claimed: ClaimedRun, run_config: Mapping[str, Any], settings: JobSettings, image: str
) -> dict[str, str]:
    return container_environment(
        logging_level=settings.logging_level,
        agent_env=settings.agent_env,
        run_env=run_config.get("env") or {},
        send_logs=settings.send_logs,
        access=settings.access,
        agent_labels=settings.labels,
        flow_run_id=claimed.flow_run_id,
        flow_id=claimed.flow_id,
        claim_token=claimed.claim_token,
        image=image,
    )


def _mapping(parent: dict[str, Any], key: str) -> dict[str, Any]:
    """Return the mapping at `key`, a new one if there is none."""
    if parent.get(key) is None:
        parent[key] = {}
    found = parent[key]
    if not isinstance(found, dict):
        raise LaunchError(f"`{key}` of the job template must be a mapping, but is {found!r}.")
    return found


def _list(parent: dict[str, Any], key: str) -> list[Any]:
    """Return the list at `key`, a new one if there is none."""
    if parent.get(key) is None:
        parent[key] = []
    found = parent[key]
    if not isinstance(found, list):
        raise LaunchError(f"`{key}` of the job template must be a list, but is {found!r}.")
    return found
