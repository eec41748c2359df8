"""Subscriptions: what happens to a flow run, and whether there is work for an agent."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from enum import Enum
from typing import Annotated
from uuid import UUID

import strawberry

from flowstead_server.api.context import Info
from flowstead_server.api.fields import subscription
from flowstead_server.api.streams import follow_flow_run, follow_queue, read_cursor
from flowstead_server.domain.errors import BadInputError
from flowstead_server.orchestration.events import Event


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
    """What `flow_run_events` yields."""

    cursor: str = strawberry.field(description="Position after this page: passed as `after` to go on from here.")
    events: list[FlowRunEvent] = strawberry.field(description="At most 500 events, ordered by cursor.")
    finished: bool = strawberry.field(
        description="True if the run is in a finished state and every event up to now has been sent."
    )


@strawberry.type(name="runs_ready_hint", description="Whether there is something to claim.")
class RunsReadyHint:
    """What `runs_ready` yields."""

    waiting: int = strawberry.field(description="How many matching flow runs are due now; counted up to 100.")
    next_start_time: datetime | None = strawberry.field(
        description="Earliest start of a matching run that is not due yet; null if none is known."
    )


@strawberry.type(description="What the server tells by itself, over a websocket with `graphql-transport-ws`.")
class Subscription:
    """Root of all subscriptions."""

    @subscription(
        description=(
            "Ordered state changes, task run changes and log lines of one flow run. Goes on from `after`, a cursor of "
            "an earlier page, and completes by itself after the page that says `finished`."
        )
    )
    async def flow_run_events(
        self,
        info: Info,
        flow_run_id: Annotated[UUID, strawberry.argument(description="Id of the flow run.")],
        after: Annotated[
            str | None, strawberry.argument(description="Cursor to go on from; null means from the beginning.")
        ] = strawberry.UNSET,
    ) -> AsyncGenerator[FlowRunEventPage, None]:
        """Follow a flow run."""
        async with aclosing(follow_flow_run(info.context, flow_run_id, read_cursor(after))) as pages:
            async for page in pages:
                yield FlowRunEventPage(
                    cursor=str(page.cursor), events=[_event(event) for event in page.events], finished=page.finished
                )

    @subscription(
        description=(
            "A hint that flow runs may be claimable for an agent with these labels. Yields once at once, then whenever "
            "runs are enqueued or become due."
        )
    )
    async def runs_ready(
        self,
        info: Info,
        labels: Annotated[
            list[str] | None, strawberry.argument(description="Labels of the agent; null means none.")
        ] = strawberry.UNSET,
        tenant_id: Annotated[
            UUID | None, strawberry.argument(description="Tenant of the agent; null means the caller's own.")
        ] = strawberry.UNSET,
    ) -> AsyncGenerator[RunsReadyHint, None]:
        """Follow the queue."""
        if tenant_id and tenant_id != info.context.caller.tenant_id:
            raise BadInputError("No tenant found.")
        async with aclosing(follow_queue(info.context, labels or ())) as hints:
            async for ready in hints:
                yield RunsReadyHint(waiting=ready.waiting, next_start_time=ready.next_start_time)


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
