"""The manifest that makes an agent run in a Kubernetes cluster.  Pure: it is returned, never applied."""

import json
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["AgentDeployment", "deployment_yaml"]

_NAME = "prefect-agent"
_ROLE = "prefect-agent-rbac"
_PORT = 8080


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentDeployment:
    """An agent that a cluster is to keep running.

    Resources and pull policy are those of flow runs that say none; the service account too.
    """

    image: str
    api: str
    backend: str
    namespace: str = "default"
    key: str | None = None
    tenant_id: str | None = None
    agent_config_id: str | None = None
    image_pull_secrets: str | None = None
    """name of one secret, for the agent and its flow runs"""
    rbac: bool = False
    mem_request: str | None = None
    mem_limit: str | None = None
    cpu_request: str | None = None
    cpu_limit: str | None = None
    image_pull_policy: str | None = None
    service_account_name: str | None = None
    labels: Iterable[str] = ()
    env_vars: Mapping[str, str] | None = None


def deployment_yaml(agent: AgentDeployment) -> str:
    """Return the documents for `kubectl apply`, as YAML."""
    import yaml  # noqa: PLC0415 - agents that run need none

    documents = [_deployment(agent), *(_rights(agent.namespace) if agent.rbac else [])]
    return yaml.safe_dump_all(documents, explicit_start=True, sort_keys=False, default_flow_style=False)


def _environment(agent: AgentDeployment) -> list[dict[str, str]]:
    values = {
        "PREFECT__CLOUD__API": agent.api,
        "NAMESPACE": agent.namespace,
        "IMAGE_PULL_SECRETS": agent.image_pull_secrets,
        "PREFECT__CLOUD__AGENT__LABELS": str(list(agent.labels)),
        "JOB_MEM_REQUEST": agent.mem_request,
        "JOB_MEM_LIMIT": agent.mem_limit,
        "JOB_CPU_REQUEST": agent.cpu_request,
        "JOB_CPU_LIMIT": agent.cpu_limit,
        "IMAGE_PULL_POLICY": agent.image_pull_policy,
        "SERVICE_ACCOUNT_NAME": agent.service_account_name,
        "PREFECT__BACKEND": agent.backend,
        "PREFECT__CLOUD__AGENT__AGENT_ADDRESS": f"http://:{_PORT}",
        "PREFECT__CLOUD__API_KEY": agent.key,
        "PREFECT__CLOUD__TENANT_ID": agent.tenant_id,
    }
    if agent.env_vars:
        values["PREFECT__CLOUD__AGENT__ENV_VARS"] = json.dumps(dict(agent.env_vars))
    return [{"name": name, "value": value or ""} for name, value in values.items()]


def _deployment(agent: AgentDeployment) -> dict[str, Any]:
    command = "prefect agent kubernetes start"
    if agent.agent_config_id:
        command += f" --agent-config-id {shlex.quote(agent.agent_config_id)}"
    labels = {"app": _NAME}
    pod: dict[str, Any] = {
        "containers": [
            {
                "name": "agent",
                "image": agent.image,
                "imagePullPolicy": "Always",
                "command": ["/bin/bash", "-c"],
                "args": [command],
                "env": _environment(agent),
                "livenessProbe": {
                    "httpGet": {"path": "/api/health", "port": _PORT},
                    "initialDelaySeconds": 40,
                    "periodSeconds": 40,
                    "failureThreshold": 2,
                },
            }
        ]
    }
    if agent.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": agent.image_pull_secrets}]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": _NAME, "namespace": agent.namespace, "labels": dict(labels)},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": dict(labels)},
            "template": {"metadata": {"labels": dict(labels)}, "spec": pod},
        },
    }


def _rights(namespace: str) -> list[dict[str, Any]]:
    rules = [
        {"apiGroups": ["batch", "extensions"], "resources": ["jobs"], "verbs": ["*"]},
        {"apiGroups": [""], "resources": ["events", "pods", "pods/log"], "verbs": ["*"]},
    ]
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": _ROLE, "namespace": namespace},
        "rules": rules,
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": _ROLE, "namespace": namespace},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": namespace}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": _ROLE},
    }
    return [role, binding]
