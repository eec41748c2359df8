"""Which services a process runs, by its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowstead_server.orchestration.hook_sender import HookSender
from flowstead_server.orchestration.retention import Retention
from flowstead_server.orchestration.scheduling import RunScheduler
from flowstead_server.services.hooks import HookCleaning, Hooks
from flowstead_server.services.lazarus import Lazarus
from flowstead_server.services.log_batches import LogBatches
from flowstead_server.services.log_partitions import LogPartitions
from flowstead_server.services.retention import RetentionService
from flowstead_server.services.scheduler import Scheduler
from flowstead_server.services.zombie_reaper import ZombieReaper

if TYPE_CHECKING:
    from flowstead_server.db.database import Database
    from flowstead_server.pubsub.hub import Hub
    from flowstead_server.services.loop import Service
    from flowstead_server.settings import Settings


def configure(settings: Settings, database: Database) -> None:
    """Let the verbs know the rules that the services follow, whether or not any runs in this process."""
    database.part(RunScheduler).rules = settings.scheduling
    database.part(HookSender).rules = settings.hooks
    database.part(Retention).rules = settings.retention.rules


def background_services(settings: Settings, database: Database, hub: Hub) -> list[Service[Any]]:
    """Return the services that any process may run, in any number; nothing is started.

    `HeartbeatReception` is not among them: only a process that answers requests can say that heartbeats arrive.
    """
    liveness = settings.liveness
    services: list[Service[Any]] = [LogPartitions(database), LogBatches(database)]
    if liveness.zombie_reaper:
        services.append(ZombieReaper(database, liveness.rules, liveness.zombie_reaper_interval))
    if liveness.lazarus:
        services.append(Lazarus(database, liveness.rules, liveness.lazarus_interval))
    if settings.scheduler:
        services.append(Scheduler(database, settings.scheduling))
    if settings.retention.enabled:
        services.append(RetentionService(database, settings.retention.interval))
    if settings.hooks_service:
        services += [Hooks(database, hub), HookCleaning(database)]
    return services
