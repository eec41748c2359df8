"""Which image a flow run of a container platform is started from, and whether its run config is for the platform."""

import re
from collections.abc import Mapping
from typing import Any

from flowstead_agent.errors import LaunchError, UnsupportedRunConfigError
from flowstead_agent.launchers.protocol import ClaimedRun

__all__ = ["checked_run_config", "image_of"]

# The releases that have an image of the project that they came from.
_OF_1X = re.compile(r"(0\.\d+\.\d+|1\.[0-4]\.\d+)")


def checked_run_config(claimed: ClaimedRun, kind: str) -> Mapping[str, Any]:
    """Return the run config, of a universal one what concerns every platform; raises `UnsupportedRunConfigError`."""
    run_config = claimed.run_config or {}
    given = str(run_config.get("type", kind))
    if given == kind:
        return run_config
    if given == "UniversalRun":
        return {"env": run_config.get("env"), "labels": run_config.get("labels")}
    raise UnsupportedRunConfigError(claimed.flow_run_id, given, kind)


def image_of(
    claimed: ClaimedRun, run_config: Mapping[str, Any], default_image: str | None, template_image: str | None = None
) -> str:
    """Return the image: of `Docker` storage, of the run config, of a template, the default, or that of the 1.x release.

    Raises `LaunchError` if nobody names one.
    """
    storage = claimed.storage or {}
    if storage.get("type") == "Docker":
        image = f"{storage.get('image_name')}:{storage.get('image_tag')}"
        registry = storage.get("registry_url")
        return f"{str(registry).rstrip('/')}/{image}" if registry else image
    for given in (run_config.get("image"), template_image, default_image):
        if given:
            return str(given)
    version = (claimed.core_version or "").partition("+")[0]
    if _OF_1X.fullmatch(version):
        return f"prefecthq/prefect:{version}"
    raise LaunchError(
        f"Flow run {claimed.flow_run_id} names no image, and there is no default one for flows of version "
        f"{version or 'unknown'}. Give its run config an `image`, or set `cloud.agent.default_image` for the agent."
    )
