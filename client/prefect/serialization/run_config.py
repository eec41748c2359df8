"""Run configs."""

from collections.abc import Mapping
from typing import Any

from prefect import run_configs
from prefect._version import __version__
from prefect.run_configs.base import RunConfig

__all__ = ["run_config_from_dict", "run_config_to_dict"]

_KINDS = ("UniversalRun", "LocalRun", "DockerRun", "KubernetesRun", "ECSRun", "VertexRun", "RunConfig")


def run_config_to_dict(run_config: RunConfig) -> dict[str, Any]:
    """Return a run config as JSON-able data."""
    return {
        "type": type(run_config).__name__,
        "env": run_config.env,
        "labels": sorted(run_config.labels),
        **{name: getattr(run_config, name) for name in run_config.fields},
        "__version__": __version__,
    }


def run_config_from_dict(data: Mapping[str, Any]) -> RunConfig:
    """Return the run config of JSON-able data; raises `ValueError` if its type is not known."""
    kind = data.get("type")
    if kind not in _KINDS:
        raise ValueError(f"There is no run config of type {kind!r}.")
    cls = getattr(run_configs, str(kind))
    run_config: RunConfig = cls.__new__(cls)
    env = data.get("env")
    run_config.env = dict(env) if env is not None else None
    run_config.labels = set(data.get("labels") or ())
    # Constructors read files and change paths, which was done where the run config was made.
    vars(run_config).update({name: data.get(name) for name in cls.fields})
    return run_config
