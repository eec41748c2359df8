"""Events of a flow run, as the subscription yields them and the query answers them."""

from datetime import datetime
from enum import Enum
from uuid import UUID

import strawberry

from flowstead_server.orchestration.events import Event, EventPage


@strawberry.enum(name="flow_run_event_kind", description="What an event is about.")
class FlowRunEventKind(Enum):
    """Kinds of events of a flow run."""

    FLOW_RUN_STATE = strawberry.enum_value("FLOW_RUN_STATE", description="The flow run took a new state.")
    TASK_RUN_STATE = strawberry.enum_value("TASK_RUN_STATE", description="One of its task runs took a new state.")
    LOG = strawberry.enum_value("LOG", description="A log line was written.")


@strawberry.type(name="flow_run_event", description="One state change or log line of a flow run.")
class FlowRunEvent:
    """An event, with the members of its kind filled in."""

    cursor: str = strawberry.field(description="Position of the event; opaque.")
    kind: FlowRunEventKind = strawberry.field(description="What the event is about.")
    timestamp: datetime = strawberry.field(description="When it happened.")
    task_run_id: UUID | None = strawberry.field(description="Task run of the state or log line, if it has one.")
    task_name: str | None = strawberry.field(description="Name of that task.")
    map_index: int | None = strawberry.field(description="Position of that task run among mapped children; -1 if none.")
    state: str | None = strawberry.field(description="Name of the new state.")
    version: int | None = strawberry.field(description="Version of the new state.")
    start_time: datetime | None = strawberry.field(description="When a scheduled state is due.")
    level: str | None = strawberry.field(description="Level of the log line.")
    logger: str | None = strawberry.field(description="Logger of the log line.")
    message: str | None = strawberry.field(description="Message of the state, or the log line itself.")


@strawberry.type(name="flow_run_event_page", description="Events of a flow run in their order.")
class FlowRunEventPage:
    """What `flow_run_events` yields and `flow_run_event_page` answers."""

    cursor: str = strawberry.field(description="Position after this page: passed as `after` to go on from here.")
    events: list[FlowRunEvent] = strawberry.field(description="At most 500 events, ordered by cursor.")
    finished: bool = strawberry.field(
        description="True if the run is in a finished state and every event up to now has been sent."
    )


def page_of(page: EventPage) -> FlowRunEventPage:
    """Return a page in the types of the schema."""
    return FlowRunEventPage(
        cursor=str(page.cursor), events=[_event(event) for event in page.events], finished=page.finished
    )


def _event(event: Event) -> FlowRunEvent:
    return FlowRunEvent(
        cursor=str(event.cursor),
        kind=FlowRunEventKind[event.kind],
        timestamp=event.timestamp,
        task_run_id=event.task_run_id,
        task_name=event.task_name,
        map_index=event.map_index,
        state=event.state,
        version=event.version,
        start_time=event.start_time,
        level=event.level,
        logger=event.logger,
        message=event.message,
    )
