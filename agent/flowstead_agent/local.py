"""`LocalAgent`: an agent that runs flow runs as processes of its own machine."""

from collections.abc import Iterable, Mapping
from typing import Any

from flowstead_agent.base import PlatformAgent
from flowstead_agent.labels import hostname_label as name_of_this_machine
from flowstead_agent.labels import with_hostname_label
from flowstead_agent.launchers.local import LocalLauncher, LocalLauncherSettings
from flowstead_agent.launchers.protocol import Launcher
from prefect.configuration import config

__all__ = ["LocalAgent"]


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

    def _checked_labels(self, labels: Iterable[str]) -> list[str]:
        return (
            with_hostname_label(labels, name_of_this_machine()) if self._with_host else super()._checked_labels(labels)
        )

    def _launcher(self) -> Launcher:
        settings = LocalLauncherSettings(
            access=self.access,
            labels=self.labels,
            agent_env=self.env_vars,
            send_logs=self.log_to_cloud,
            logging_level=str(config.logging.level),
            import_paths=self.import_paths,
            show_flow_logs=self.show_flow_logs,
        )
        return LocalLauncher(settings, self.logger)
