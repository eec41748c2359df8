"""Subscriptions: what happens to a flow run, which runs change, and whether there is work for an agent."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import strawberry

from flowstead_server.api.context import Info
from flowstead_server.api.fields import subscription
from flowstead_server.api.streams import follow_flow_run, follow_queue, read_cursor
from flowstead_server.api.streams_flow_runs import COLUMNS, MAX_INITIAL, follow_flow_runs
from flowstead_server.api.types.builder import add_fields, declare, listed, optional, output_field
from flowstead_server.api.types.events import FlowRunEventPage, page_of
from flowstead_server.api.types.scalars import SCALARS
from flowstead_server.api.types.tables import filter_of
from flowstead_server.compiler.catalog import CATALOG, Scalar
from flowstead_server.domain.errors import BadInputError


@strawberry.type(name="runs_ready_hint", description="Whether there is something to claim.")
class RunsReadyHint:
    """What `runs_ready` yields."""

    waiting: int = strawberry.field(description="How many matching flow runs are due now; counted up to 100.")
    next_start_time: datetime | None = strawberry.field(
        description="Earliest start of a matching run that is not due yet; null if none is known."
    )
    cancelling: list[UUID] = strawberry.field(
        description="Flow runs that the calling agent has started and that are to be stopped."
    )


_CHANGE = declare("flow_run_change", "A flow run as it is now. What is not here is a query by its id away.")
add_fields(
    _CHANGE,
    [
        output_field(
            column.name,
            optional(SCALARS[column.scalar]) if column.nullable else SCALARS[column.scalar],
            column.description,
        )
        for column in (CATALOG.tables["flow_run"].columns[name] for name in COLUMNS)
    ],
)
_CHANGES = declare("flow_run_changes", "What changed about the flow runs that match a filter.")
add_fields(
    _CHANGES,
    [
        output_field("flow_runs", listed(_CHANGE), "Runs that match, and are new or differ from what was told last."),
        output_field(
            "left",
            listed(SCALARS[Scalar.UUID]),
            "Runs that were told earlier and match no longer, or are gone. The latest 10,000 runs are remembered.",
        ),
        output_field(
            "missed", bool, "Whether changes may have been missed: the runs have to be read again by a query."
        ),
    ],
)


if TYPE_CHECKING:
    # a type checker sees what a resolver gets and gives; strawberry sees types that are made from data
    FlowRunFilter = dict[str, Any]
    FlowRunChanges = Any
else:
    FlowRunFilter = filter_of("flow_run")
    FlowRunChanges = _CHANGES


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
                yield page_of(page)

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
                yield RunsReadyHint(
                    waiting=ready.waiting, next_start_time=ready.next_start_time, cancelling=ready.cancelling
                )

    @subscription(
        description=(
            "Changes of the flow runs that match a filter, merged over short moments, for pages and scripts. A hint "
            "and not a history: what happens while nobody is connected is not told later. Whoever connects again, or "
            "is told `missed`, reads the runs again, with `initial` or a query."
        )
    )
    async def flow_runs(
        self,
        info: Info,
        where: Annotated[
            FlowRunFilter | None,
            strawberry.argument(description="Tell only of runs for which this holds; null means of all."),
        ] = strawberry.UNSET,
        initial: Annotated[
            int | None,
            strawberry.argument(
                description=f"How many matching runs to tell of first, newest first: 0 to {MAX_INITIAL}, default 0."
            ),
        ] = strawberry.UNSET,
    ) -> AsyncGenerator[FlowRunChanges, None]:
        """Follow the runs that match."""
        async with aclosing(follow_flow_runs(info.context, where or None, initial or 0)) as changes:
            async for change in changes:
                yield _filled(
                    _CHANGES,
                    flow_runs=[_filled(_CHANGE, **row) for row in change.rows],
                    left=change.left,
                    missed=change.missed,
                )


def _filled(declared: Any, **members: Any) -> Any:
    """Return a row of a declared type, which has no constructor of its own."""
    row = declared()
    row.__dict__.update(members)
    return row
