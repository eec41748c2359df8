"""`prefect config`: the settings in force, as JSON.  Secrets, keys and passwords are masked."""

import json
from collections.abc import Mapping
from typing import Any

from flowstead_cli.output.lines import say
from flowstead_cli.wiring import command_app

app = command_app()

_MASK = "********"
_SECRET_NAMES = ("api_key", "token", "password", "connection_url", "secret")


def masked(settings: Mapping[str, Any], *, all_secret: bool = False) -> dict[str, Any]:
    """Return settings with the value of everything secret replaced; empty values and switches hide nothing."""
    result: dict[str, Any] = {}
    for name, value in settings.items():
        secret = all_secret or any(word in name.lower() for word in _SECRET_NAMES)
        if isinstance(value, Mapping):
            result[name] = masked(value, all_secret=secret)
        else:
            result[name] = _MASK if secret and value and not isinstance(value, bool) else value
    return result


def run() -> None:
    """Print the settings, one JSON document on one line."""
    from prefect import config

    say(json.dumps(masked(config), default=str))


@app.command("config")
def show() -> None:
    """Show the settings in force as one line of JSON; keys, passwords and secrets are masked."""
    run()
