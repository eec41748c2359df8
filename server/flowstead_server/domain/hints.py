"""What a verb says after its commit, so that followers look again. Hints may be lost: the tables are the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

# In place of a label set, which it never is: slots of limits of task runs were freed. Agents have no use for them.
TAG_SLOTS: Final = 0


class Hints(Protocol):
    """Receives hints. The methods return at once, never raise, and are called on the event loop's thread."""

    def runs_changed(self, flow_run_ids: Iterable[UUID]) -> None:
        """These flow runs are new, gone or renamed, or have new events."""

    def queue_changed(self, tenant_id: UUID, label_set_ids: Iterable[int]) -> None:
        """Runs with these label sets were put into the queue, or their start time changed."""

    def slots_freed(self, tenant_id: UUID) -> None:
        """Whatever waited for a slot of a concurrency limit of this tenant may find one."""


class NoHints:
    """Says nothing to nobody: for programs that have no followers."""

    def runs_changed(self, flow_run_ids: Iterable[UUID]) -> None:
        """Do nothing."""

    def queue_changed(self, tenant_id: UUID, label_set_ids: Iterable[int]) -> None:
        """Do nothing."""

    def slots_freed(self, tenant_id: UUID) -> None:
        """Do nothing."""
