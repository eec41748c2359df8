"""`prefect diagnostics`: what to add to a report of a problem.  Names of settings only, never their values."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from flowstead_cli.output.lines import say
from flowstead_cli.output.listings import as_json
from flowstead_cli.wiring import command_app

app = command_app()


@dataclass(frozen=True, slots=True)
class Options:
    """What to include."""

    include_secret_names: bool = False


def overrides(settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the nested keys of settings that differ from the defaults, each with the value True."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        default = defaults.get(name)
        if isinstance(value, Mapping):
            below = overrides(value, default if isinstance(default, Mapping) else {})
            if below:
                found[name] = below
        elif name not in defaults or value != default:
            found[name] = True
    return found


def run(options: Options) -> None:
    """Print the diagnosis, a JSON document.

    Raises:
        tomllib.TOMLDecodeError: the user's configuration file is no valid TOML.
    """
    from prefect import config
    from prefect._version import __version__
    from prefect.configuration import DEFAULT_CONFIG, ENV_VAR_PREFIX, USER_CONFIG, load_toml

    location = os.environ.get(f"{ENV_VAR_PREFIX}__USER_CONFIG_PATH", USER_CONFIG)
    file = Path(os.path.expandvars(location)).expanduser()
    changed = overrides(load_toml(str(file)), load_toml(DEFAULT_CONFIG)) if file.is_file() else {}
    secrets = changed.get("context", {}).get("secrets")
    if secrets and not options.include_secret_names:
        changed["context"]["secrets"] = False
    names = [name for name in os.environ if name.startswith(f"{ENV_VAR_PREFIX}__")]
    if not options.include_secret_names:
        names = [name for name in names if not name.startswith(f"{ENV_VAR_PREFIX}__CONTEXT__SECRETS__")]
    diagnosis = {
        "config_overrides": changed,
        "env_vars": sorted(names),
        "system_information": {
            "platform": platform.platform(),
            "prefect_backend": str(config.backend),
            "prefect_version": __version__,
            "python_version": platform.python_version(),
        },
    }
    say(as_json(diagnosis, sort_keys=True))


@app.command("diagnostics")
def main(
    include_secret_names: Annotated[
        bool, typer.Option("--include-secret-names", help="Include the names of local secrets, never their values.")
    ] = False,
) -> None:
    """Show what a report of a problem should include: versions, and which settings were changed.

    Values of settings are never shown, and names of secrets only when asked for.
    """
    run(Options(include_secret_names=include_secret_names))
