"""The options that `start` of every kind of agent has, and how they reach the agent.

Options win over the configuration for the life of the process.  Bad values raise `CliError`.
"""

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flowstead_cli.errors import CliError

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowstead_agent.base import PlatformAgent

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOptions:
    """What `start` of any agent was asked to do; None means the configured value, empty lists too."""

    key: str | None = None
    tenant_id: str | None = None
    api: str | None = None
    agent_config_id: str | None = None
    name: str | None = None
    labels: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    max_polls: int | None = None
    agent_address: str | None = None
    no_cloud_logs: bool = False
    log_level: str | None = None
    max_concurrent: int | None = None


Key = Annotated[str | None, typer.Option("--key", "-k", help="API key. [default: configured]")]
TenantId = Annotated[str | None, typer.Option(help="Tenant to work for. [default: the key's or server's]")]
Api = Annotated[str | None, typer.Option("--api", "-a", help="URL of the API. [default: configured]")]
AgentConfigId = Annotated[str | None, typer.Option(help="Agent configuration to link to.")]
Name = Annotated[str | None, typer.Option("--name", "-n", help="Name of the agent. [default: agent]")]
Labels = Annotated[
    list[str] | None,
    typer.Option("--label", "-l", metavar="TEXT", help="Take runs with this label; can be repeated."),
]
Env = Annotated[
    list[str] | None,
    typer.Option("--env", "-e", metavar="KEY=VALUE", help="Environment of every flow run; can be repeated."),
]
MaxPolls = Annotated[int | None, typer.Option(min=1, help="Stop after asking for work this often.")]
AgentAddress = Annotated[str | None, typer.Option(help="Serve the agent's health here, such as http://:8080.")]
NoCloudLogs = Annotated[bool, typer.Option("--no-cloud-logs", help="Do not send the logs of flow runs to the API.")]
LogLevel = Annotated[str | None, typer.Option(help=f"Level of the agent's own log: {', '.join(LEVELS)}.")]
MaxConcurrent = Annotated[
    int | None, typer.Option(min=1, help="Run at most so many flow runs at a time. [default: as many as come]")
]
ShowFlowLogs = Annotated[bool, typer.Option("--show-flow-logs", "-f", help="Print the output of flow runs here too.")]


def parse_environment(pairs: tuple[str, ...]) -> dict[str, str]:
    """Return `KEY=VALUE` options as a mapping; the first `=` divides.

    Raises:
        CliError: an option has no `=` or no key.
    """
    values = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise CliError(f"--env takes KEY=VALUE, but got {pair!r}.", exit_code=2)
        values[key] = value
    return values


def normalised_level(level: str | None) -> str | None:
    """Return a log level in capitals.

    Raises:
        CliError: there is no such level.
    """
    if level is None:
        return None
    if level.upper() not in LEVELS:
        raise CliError(f"{level!r} is not a log level; choose one of {', '.join(LEVELS)}.", exit_code=2)
    return level.upper()


def apply_settings(options: AgentOptions) -> None:
    """Put the options that replace settings into the environment, before the configuration is read.

    The processes of flow runs get the same settings that way.
    """
    settings = {
        "PREFECT__CLOUD__API": options.api,
        "PREFECT__CLOUD__API_KEY": options.key,
        "PREFECT__CLOUD__TENANT_ID": options.tenant_id,
        "PREFECT__CLOUD__AGENT__LEVEL": normalised_level(options.log_level),
    }
    os.environ.update({name: value for name, value in settings.items() if value})
    configuration = sys.modules.get("prefect.configuration")
    if configuration is not None:
        configuration.reload()


def serve(options: AgentOptions, make: "Callable[[dict[str, Any]], PlatformAgent]") -> int:
    """Make an agent of these options and run it until it is told to stop; returns the exit code.

    `make` gets the arguments that all agents have in common.

    Raises:
        CliError: an option has a bad value, or the platform cannot be used.
    """
    env_vars = parse_environment(options.env)
    apply_settings(options)
    from flowstead_agent.errors import AgentError

    common = {
        "agent_config_id": options.agent_config_id,
        "name": options.name,
        "labels": sorted(set(options.labels)) or None,
        "env_vars": env_vars or None,
        "max_polls": options.max_polls,
        "agent_address": options.agent_address,
        "no_cloud_logs": options.no_cloud_logs or None,
        "max_concurrent": options.max_concurrent,
    }
    try:
        make(common).start()
    except (AgentError, ImportError) as error:
        raise CliError(str(error)) from None
    return 0
