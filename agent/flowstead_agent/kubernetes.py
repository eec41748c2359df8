"""`KubernetesAgent`: an agent that runs flow runs as Jobs of a Kubernetes cluster."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flowstead_agent.base import PlatformAgent
from flowstead_agent.errors import AgentError, LaunchError
from flowstead_agent.kubernetes_manifest import AgentDeployment, deployment_yaml
from flowstead_agent.launchers.kubernetes import KubernetesLauncher
from flowstead_agent.launchers.kubernetes_api import KubernetesApi, cluster_client
from flowstead_agent.launchers.kubernetes_jobs import IDENTIFIER, JobSettings
from flowstead_agent.launchers.kubernetes_templates import read_template
from flowstead_agent.launchers.protocol import Launcher
from prefect.configuration import config

__all__ = ["KubernetesAgent"]

# What `generate_deployment_yaml` sets, and how a run config calls it.
_JOB_VARIABLES = {
    "JOB_MEM_REQUEST": "memory_request",
    "JOB_MEM_LIMIT": "memory_limit",
    "JOB_CPU_REQUEST": "cpu_request",
    "JOB_CPU_LIMIT": "cpu_limit",
}


class KubernetesAgent(PlatformAgent):
    """Claims flow runs that carry no label which this agent lacks, and runs each as a Job.

    - namespace: where Jobs are created; by default that of the variable NAMESPACE, or `default`
    - service_account_name: on whose behalf pods run; by default SERVICE_ACCOUNT_NAME
    - image_pull_secrets: names of secrets; by default those of IMAGE_PULL_SECRETS, which commas divide
    - job_template_path: path or URL of the Job that all are made of
    - volumes, volume_mounts: added to each pod and its first container, as Kubernetes describes them
    - delete_finished_jobs: false keeps Jobs that have ended; so does DELETE_FINISHED_JOBS unless it is `True`

    The other arguments are those of `PlatformAgent`.  Raises `ImportError` without the extra `kubernetes`, `AgentError`
    if the template cannot be read.
    """

    def __init__(
        self,
        agent_config_id: str | None = None,
        namespace: str | None = None,
        service_account_name: str | None = None,
        image_pull_secrets: Iterable[str] | None = None,
        job_template_path: str | None = None,
        name: str | None = None,
        labels: Iterable[str] | None = None,
        env_vars: Mapping[str, Any] | None = None,
        max_polls: int | None = None,
        agent_address: str | None = None,
        no_cloud_logs: bool | None = None,
        volume_mounts: Sequence[Mapping[str, Any]] | None = None,
        volumes: Sequence[Mapping[str, Any]] | None = None,
        delete_finished_jobs: bool = True,
        max_concurrent: int | None = None,
        grace_seconds: float | None = None,
    ) -> None:
        try:
            import kubernetes  # noqa: F401, PLC0415 - an extra
        except ImportError as error:
            raise ImportError(
                "The Kubernetes agent needs the library of Kubernetes. Install it with "
                "`pip install 'flowstead[kubernetes]'`."
            ) from error
        self.namespace = namespace or os.environ.get("NAMESPACE") or "default"
        self.service_account_name = service_account_name or os.environ.get("SERVICE_ACCOUNT_NAME") or None
        self.image_pull_secrets = _names(image_pull_secrets or os.environ.get("IMAGE_PULL_SECRETS", "").split(","))
        self.job_template_path = job_template_path
        self.volume_mounts = list(volume_mounts or ())
        self.volumes = list(volumes or ())
        self.delete_finished_jobs = delete_finished_jobs and os.environ.get("DELETE_FINISHED_JOBS", "True") == "True"
        try:
            self._template = read_template(job_template_path) if job_template_path else None
        except LaunchError as error:
            raise AgentError(str(error)) from error
        super().__init__(
            agent_config_id=agent_config_id,
            name=name,
            labels=labels,
            env_vars=env_vars,
            max_polls=max_polls,
            agent_address=agent_address,
            no_cloud_logs=no_cloud_logs,
            max_concurrent=max_concurrent,
            grace_seconds=grace_seconds,
        )
        self.logger.debug("Namespace: %s", self.namespace)

    def _launcher(self) -> Launcher:
        settings = JobSettings(
            access=self.access,
            labels=self.labels,
            agent_env=self.env_vars,
            send_logs=self.log_to_cloud,
            logging_level=str(config.logging.level),
            default_image=config.cloud.agent.get("default_image") or None,
            template=self._template,
            service_account_name=self.service_account_name,
            image_pull_secrets=self.image_pull_secrets,
            volumes=self.volumes,
            volume_mounts=self.volume_mounts,
            resources={key: os.environ[name] for name, key in _JOB_VARIABLES.items() if os.environ.get(name)},
            image_pull_policy=os.environ.get("IMAGE_PULL_POLICY") or None,
        )
        client = cluster_client(self.logger, keep_alive=bool(config.cloud.agent.get("kubernetes_keep_alive")))
        api = KubernetesApi(client, self.namespace, IDENTIFIER)
        return KubernetesLauncher(settings, api, self.logger, delete_finished=self.delete_finished_jobs)

    @staticmethod
    def generate_deployment_yaml(
        key: str | None = None,
        api: str | None = None,
        namespace: str | None = None,
        image_pull_secrets: str | None = None,
        rbac: bool = False,
        latest: bool = False,
        mem_request: str | None = None,
        mem_limit: str | None = None,
        cpu_request: str | None = None,
        cpu_limit: str | None = None,
        image_pull_policy: str | None = None,
        service_account_name: str | None = None,
        labels: Iterable[str] | None = None,
        env_vars: Mapping[str, str] | None = None,
        backend: str | None = None,
        tenant_id: str | None = None,
        agent_config_id: str | None = None,
        *,
        image: str | None = None,
    ) -> str:
        """Return the YAML that makes a cluster run such an agent.

        - image: an image that has this package with its extra `kubernetes`, and bash
        - latest: take the image's tag `latest`
        - rbac: add the rights that the agent needs, for the service account `default`
        - mem_request, mem_limit, cpu_request, cpu_limit, image_pull_policy, service_account_name: of flow runs that say
          none themselves

        Raises `AgentError` without an image.
        """
        if not image:
            raise AgentError(
                "There is no official image of Flowstead yet: build one in which `flowstead[kubernetes]` is installed, "
                "and name it with `image` (on the command line --image)."
            )
        return deployment_yaml(
            AgentDeployment(
                image=f"{_untagged(image)}:latest" if latest else image,
                api=api or str(config.cloud.api),
                backend=backend or str(config.backend),
                namespace=namespace or "default",
                key=key,
                tenant_id=tenant_id,
                agent_config_id=agent_config_id,
                image_pull_secrets=image_pull_secrets,
                rbac=rbac,
                mem_request=mem_request,
                mem_limit=mem_limit,
                cpu_request=cpu_request,
                cpu_limit=cpu_limit,
                image_pull_policy=image_pull_policy,
                service_account_name=service_account_name,
                labels=tuple(labels or ()),
                env_vars=env_vars,
            )
        )


def _names(given: Iterable[str]) -> list[str]:
    return [name.strip() for name in given if name.strip()]


def _untagged(image: str) -> str:
    path, slash, name = image.rpartition("/")
    return path + slash + name.partition("@")[0].partition(":")[0]
