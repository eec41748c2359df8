"""Runs as a Kubernetes job."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from prefect.run_configs.base import RunConfig, is_local_path, parse_yaml, read_local_file

__all__ = ["KubernetesRun"]

_PULL_POLICIES = ("Always", "IfNotPresent", "Never")


class KubernetesRun(RunConfig):
    """Runs as a job made of a template and the settings given here.

    The template is a dictionary or YAML text, or a file: a local one is read now, a remote one by the agent.  Raises
    `ValueError` for both kinds of template and for an unknown pull policy.
    """

    fields: ClassVar[tuple[str, ...]] = (
        "job_template_path",
        "job_template",
        "image",
        "cpu_limit",
        "cpu_request",
        "memory_limit",
        "memory_request",
        "service_account_name",
        "image_pull_secrets",
        "image_pull_policy",
    )

    def __init__(
        self,
        *,
        job_template_path: str | None = None,
        job_template: Mapping[str, Any] | str | None = None,
        image: str | None = None,
        env: Mapping[str, Any] | None = None,
        cpu_limit: float | str | None = None,
        cpu_request: float | str | None = None,
        memory_limit: str | None = None,
        memory_request: str | None = None,
        service_account_name: str | None = None,
        image_pull_secrets: Iterable[str] | None = None,
        labels: Iterable[str] | None = None,
        image_pull_policy: str | None = None,
    ) -> None:
        super().__init__(env=env, labels=labels)
        if job_template_path is not None and job_template is not None:
            raise ValueError("Cannot provide both `job_template_path` and `job_template`")
        if job_template_path is not None and is_local_path(job_template_path):
            job_template = read_local_file(job_template_path)
            job_template_path = None
        if isinstance(job_template, str):
            job_template = parse_yaml(job_template, "job_template")
        if image_pull_policy is not None and image_pull_policy not in _PULL_POLICIES:
            raise ValueError(
                f"Invalid image_pull_policy '{image_pull_policy}'.  Expected 'Always', 'IfNotPresent', or 'Never'"
            )
        self.job_template_path = job_template_path
        self.job_template = job_template
        self.image = image
        self.cpu_limit = None if cpu_limit is None else str(cpu_limit)
        self.cpu_request = None if cpu_request is None else str(cpu_request)
        self.memory_limit = memory_limit
        self.memory_request = memory_request
        self.service_account_name = service_account_name
        self.image_pull_secrets = list(image_pull_secrets) if image_pull_secrets is not None else None
        self.image_pull_policy = image_pull_policy
