"""The environment of flow-run processes: what comes from where, and what beats what.  Pure.

Early variables may be overridden by the agent's `--env`, and those by the `env` of the run config; late ones never.  A
null value removes nothing and sets nothing: it is left out.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = [
    "INTERPRETER_PREFIXES",
    "ApiAccess",
    "changes_interpreter",
    "container_environment",
    "local_environment",
    "python_path",
]

# Read once, when an interpreter (or its C library) starts: a forked process cannot take them on.
INTERPRETER_PREFIXES = ("PYTHON", "LD_", "DYLD_", "LC_", "MALLOC_")
_INTERPRETER_NAMES = frozenset({"LANG", "LANGUAGE", "GLIBC_TUNABLES", "OPENSSL_CONF", "OPENSSL_MODULES"})
_SEND_LOGS = "PREFECT__CLOUD__SEND_FLOW_RUN_LOGS"


@dataclass(frozen=True, slots=True)
class ApiAccess:
    """How the processes of an agent reach the API: as the agent does."""

    url: str
    backend: str
    """`server` or `cloud`"""
    api_key: str | None = None
    tenant_id: str | None = None
    """sent with a key only: without one the API knows a single tenant"""


def python_path(directory: str, agents_own: str | None, import_paths: Iterable[str]) -> str:
    """Return the PYTHONPATH of a run: its working directory, the agent's PYTHONPATH, the agent's import paths."""
    return os.pathsep.join([directory, *([agents_own] if agents_own else []), *import_paths])


def local_environment(
    *,
    inherited: Mapping[str, str],
    logging_level: str,
    python_path: str,
    agent_env: Mapping[str, Any],
    run_env: Mapping[str, Any],
    send_logs: bool,
    access: ApiAccess,
    agent_labels: Iterable[str],
    flow_run_id: str,
    flow_id: str,
    claim_token: str,
) -> dict[str, str]:
    """Return the environment of a run on the agent's own machine.

    `send_logs` false switches the upload of its logs off for good; true leaves the decision to the variables above it.
    """
    environment: dict[str, Any] = {
        **inherited,
        "PREFECT__LOGGING__LEVEL": logging_level,
        "PYTHONPATH": python_path,
        **agent_env,
        **run_env,
        "PREFECT__CLOUD__API": access.url,
    }
    # A key that the agent does not use itself must not reach its runs through an inherited variable either.
    for name in ("PREFECT__CLOUD__API_KEY", "PREFECT__CLOUD__TENANT_ID"):
        environment.pop(name, None)
    environment |= _late(send_logs, environment, access, agent_labels, flow_run_id, flow_id, claim_token)
    if access.api_key:
        environment["PREFECT__CLOUD__API_KEY"] = access.api_key
        environment["PREFECT__CLOUD__TENANT_ID"] = access.tenant_id
    return _texts(environment)


def container_environment(
    *,
    logging_level: str,
    agent_env: Mapping[str, Any],
    run_env: Mapping[str, Any],
    send_logs: bool,
    access: ApiAccess,
    agent_labels: Iterable[str],
    flow_run_id: str,
    flow_id: str,
    claim_token: str,
    image: str,
    api_url_is_early: bool = False,
) -> dict[str, str]:
    """Return the environment of a run in a container: nothing is inherited, and a key that is not there is empty.

    `api_url_is_early`: the address of the API may be overridden, because a container may see it elsewhere (Docker).
    """
    url = {"PREFECT__CLOUD__API": access.url}
    environment: dict[str, Any] = {
        "PREFECT__LOGGING__LEVEL": logging_level,
        **(url if api_url_is_early else {}),
        **agent_env,
        **run_env,
        **({} if api_url_is_early else url),
    }
    environment |= _late(send_logs, environment, access, agent_labels, flow_run_id, flow_id, claim_token)
    environment |= {
        "PREFECT__CLOUD__API_KEY": access.api_key or "",
        "PREFECT__CLOUD__TENANT_ID": (access.tenant_id or "") if access.api_key else "",
        "PREFECT__CONTEXT__IMAGE": image,
    }
    return _texts(environment)


def _late(
    send_logs: bool,
    below: Mapping[str, Any],
    access: ApiAccess,
    agent_labels: Iterable[str],
    flow_run_id: str,
    flow_id: str,
    claim_token: str,
) -> dict[str, Any]:
    return {
        _SEND_LOGS: below.get(_SEND_LOGS, "true") if send_logs else "false",
        "PREFECT__BACKEND": access.backend,
        "PREFECT__CLOUD__AGENT__LABELS": str(list(agent_labels)),
        "PREFECT__CLOUD__USE_LOCAL_SECRETS": "false",
        "PREFECT__CONTEXT__FLOW_RUN_ID": flow_run_id,
        "PREFECT__CONTEXT__FLOW_ID": flow_id,
        "PREFECT__CONTEXT__CLAIM_TOKEN": claim_token,
        "PREFECT__ENGINE__FLOW_RUNNER__DEFAULT_CLASS": "prefect.engine.cloud.CloudFlowRunner",
    }


def _texts(environment: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in environment.items() if value is not None}


def changes_interpreter(
    environment: Mapping[str, str], of_the_server: Mapping[str, str], run_env: Iterable[str]
) -> bool:
    """Return whether `environment` needs an interpreter of its own rather than a fork of one started in another.

    The PYTHONPATH of the agent can be taken on by a fork; one that a run config sets may hide modules of ours or
    bring a `sitecustomize`, and gets a new interpreter.
    """
    if "PYTHONPATH" in run_env:
        return True
    names = {name for name in (*environment, *of_the_server) if _belongs_to_interpreter(name)}
    return any(environment.get(name) != of_the_server.get(name) for name in names)


def _belongs_to_interpreter(name: str) -> bool:
    if name in {"PYTHONPATH", "PYTHONUNBUFFERED"}:
        return False
    return name.startswith(INTERPRETER_PREFIXES) or name in _INTERPRETER_NAMES
