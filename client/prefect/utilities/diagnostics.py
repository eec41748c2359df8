"""What a bug report needs to know about an installation: names of settings, never their values."""

import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect._version import __version__
from prefect.configuration import DEFAULT_CONFIG, ENV_VAR_PREFIX, USER_CONFIG, config, load_toml

if TYPE_CHECKING:
    from prefect.core.flow import Flow

__all__ = [
    "config_overrides",
    "diagnostic_info",
    "environment_variables",
    "flow_information",
    "system_information",
]

_SECRETS = "PREFECT__CONTEXT__SECRETS__"


def system_information() -> dict[str, Any]:
    """Return the platform, the versions and the backend."""
    return {
        "system_information": {
            "platform": platform.platform(),
            "python_version": platform.python_version(),
            "prefect_version": __version__,
            "prefect_backend": config.get("backend"),
        }
    }


def _changed(settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the nested keys of settings that differ from the defaults, each with the value True."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        default = defaults.get(name)
        if isinstance(value, Mapping):
            below = _changed(value, default if isinstance(default, Mapping) else {})
            if below:
                found[name] = below
        elif name not in defaults or value != default:
            found[name] = True
    return found


def config_overrides(include_secret_names: bool = False) -> dict[str, Any]:
    """Return the keys that the user's configuration file changes, each as true in place of its value.

    Raises `tomllib.TOMLDecodeError` if the file is no valid TOML.
    """
    location = os.environ.get(f"{ENV_VAR_PREFIX}__USER_CONFIG_PATH", USER_CONFIG)
    file = Path(os.path.expandvars(location)).expanduser()
    changed = _changed(load_toml(str(file)), load_toml(DEFAULT_CONFIG)) if file.is_file() else {}
    if changed.get("context", {}).get("secrets") and not include_secret_names:
        changed["context"]["secrets"] = False
    return {"config_overrides": changed}


def environment_variables(include_secret_names: bool = False) -> dict[str, list[str]]:
    """Return the names of the environment variables that configure Prefect."""
    names = sorted(name for name in os.environ if name.startswith("PREFECT__"))
    return {"env_vars": [name for name in names if include_secret_names or not name.startswith(_SECRETS)]}


def flow_information(flow: "Flow") -> dict[str, Any]:
    """Return which parts a flow has, of which types, and how many tasks."""
    facts: dict[str, Any] = {}
    for name in ("executor", "result", "run_config", "schedule", "storage"):
        part = getattr(flow, name)
        facts[name] = {"type": type(part).__name__} if part is not None else False
    schedule = flow.schedule
    if schedule is not None:
        facts["schedule"]["clocks"] = [type(clock).__name__ for clock in getattr(schedule, "clocks", ())]
    facts["parameters"] = bool(flow.parameters())
    facts["reference_tasks"] = flow.reference_tasks() != flow.terminal_tasks()
    facts["state_handlers"] = bool(flow.state_handlers)
    facts["terminal_state_handler"] = flow.terminal_state_handler is not None
    facts["task_count"] = len(flow.tasks)
    return {"flow_information": facts}


def diagnostic_info(flow: "Flow | None" = None, include_secret_names: bool = False) -> str:
    """Return everything as indented JSON."""
    facts = {
        **system_information(),
        **config_overrides(include_secret_names),
        **environment_variables(include_secret_names),
        **(flow_information(flow) if flow is not None else {}),
    }
    return json.dumps(facts, indent=2, sort_keys=True)
