"""`LocalAgent`: an agent that runs flow runs as processes of its own machine."""

from collections.abc import Iterable, Mapping
from typing import Any

from flowstead_agent.base import PlatformAgent
from flowstead_agent.errors import AgentError
from flowstead_agent.labels import hostname_label as name_of_this_machine
from flowstead_agent.labels import with_hostname_label
from flowstead_agent.launchers.fork_server import ForkedOff, fork_off
from flowstead_agent.launchers.local import PRELOADED, LocalLauncher, LocalLauncherSettings
from flowstead_agent.launchers.protocol import Launcher
from flowstead_agent.supervision import Program, prefect_command, supervisord_configuration
from prefect.configuration import config

__all__ = ["LocalAgent", "local_agent_program"]

_DEFAULT_API = "http://localhost:4200"


class LocalAgent(PlatformAgent):
    """Claims flow runs that carry no label which this agent lacks, and runs each as a process.

    - import_paths: directories added to the import path of flow runs
    - show_flow_logs: print the output of flow runs to standard output
    - hostname_label: add the name of this machine to the labels, as `Local` storage does with its flows

    The other arguments are those of `PlatformAgent`.
    """

    def __init__(
        self,
        agent_config_id: str | None = None,
        name: str | None = None,
        labels: Iterable[str] | None = None,
        env_vars: Mapping[str, Any] | None = None,
        max_polls: int | None = None,
        agent_address: str | None = None,
        no_cloud_logs: bool | None = None,
        import_paths: Iterable[str] | None = None,
        show_flow_logs: bool = False,
        hostname_label: bool = True,
        max_concurrent: int | None = None,
        grace_seconds: float | None = None,
    ) -> None:
        self.import_paths = list(import_paths or [])
        self.show_flow_logs = show_flow_logs
        self._with_host = hostname_label
        self._forked_off: ForkedOff | None = None
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
        self.logger.debug("Import paths: %s", self.import_paths)
        self.logger.debug("Show flow logs: %s", self.show_flow_logs)

    def fork_off(self) -> None:
        """Fork the server of flow-run processes off this process, rather than start it later as a program of its own.

        Saves memory, and is for programs that do nothing but serve as this agent: in the process of every flow run this
        call ends by `SystemExit`.  Does nothing in a process that has threads, and elsewhere than on Linux.
        """
        self._forked_off = fork_off(PRELOADED)

    def _checked_labels(self, labels: Iterable[str]) -> list[str]:
        return (
            with_hostname_label(labels, name_of_this_machine()) if self._with_host else super()._checked_labels(labels)
        )

    @staticmethod
    def generate_supervisor_conf(
        key: str | None = None,
        tenant_id: str | None = None,
        labels: Iterable[str] | None = None,
        env_vars: Mapping[str, Any] | None = None,
        import_paths: Iterable[str] | None = None,
        show_flow_logs: bool = False,
        agent_config_id: str | None = None,
    ) -> str:
        """Return a supervisord configuration that keeps such an agent running.

        The key, the tenant and an API that differs from the default are in the environment of the agent.  Raises
        `AgentError` for what such a file cannot hold.
        """
        arguments = [word for label in labels or () for word in ("-l", label)]
        arguments += [word for name, value in (env_vars or {}).items() for word in ("-e", f"{name}={value}")]
        arguments += [word for path in import_paths or () for word in ("-p", path)]
        arguments += ["-f"] if show_flow_logs else []
        arguments += ["--agent-config-id", agent_config_id] if agent_config_id else []
        try:
            return supervisord_configuration(local_agent_program(arguments, key=key, tenant_id=tenant_id))
        except ValueError as error:
            raise AgentError(str(error)) from None

    def _launcher(self) -> Launcher:
        settings = LocalLauncherSettings(
            access=self.access,
            labels=self.labels,
            agent_env=self.env_vars,
            send_logs=self.log_to_cloud,
            logging_level=str(config.logging.level),
            import_paths=self.import_paths,
            show_flow_logs=self.show_flow_logs,
            forked_off=self._forked_off,
        )
        return LocalLauncher(settings, self.logger)


def local_agent_program(
    arguments: Iterable[str], *, key: str | None = None, tenant_id: str | None = None, api: str | None = None
) -> Program:
    """Return `prefect agent local start` with some arguments, as a program to keep running.

    Credentials and address go into its environment; an address that is not given is the configured one.  Raises
    `ValueError` for what the file of a supervisor cannot hold.
    """
    url = api or str(config.cloud.api)
    environment = {
        "PREFECT__CLOUD__API": "" if url.rstrip("/") == _DEFAULT_API else url,
        "PREFECT__CLOUD__API_KEY": key or "",
        "PREFECT__CLOUD__TENANT_ID": tenant_id or "",
    }
    return Program(
        name="prefect-agent",
        description="A Prefect agent that runs flows on this machine",
        command=[*prefect_command(), "agent", "local", "start", *arguments],
        environment={name: value for name, value in environment.items() if value},
        is_outlived=True,
    )
