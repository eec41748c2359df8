"""States as the API has them, for clients: the engine's classes load only when a state comes."""

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import prefect

if TYPE_CHECKING:
    from prefect.engine.state import State

__all__ = ["queued_state", "state_of"]


def state_of(serialized: Mapping[str, Any] | None) -> "State":
    """Return a serialized state as an object; a run without one is Pending."""
    from prefect.engine.state import Pending, State  # noqa: PLC0415 - sending needs no engine

    return State.deserialize(serialized) if serialized else Pending()


def queued_state(message: str | None) -> "State":
    """Return the state of a run that the API lets wait; it asks again after `cloud.queue_interval` seconds."""
    from prefect.engine.state import Queued  # noqa: PLC0415 - as above
    from prefect.utilities.datetimes import utcnow  # noqa: PLC0415 - as above

    start = utcnow() + timedelta(seconds=float(prefect.config.cloud.queue_interval))
    return Queued(message=message, start_time=start)
