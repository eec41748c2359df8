"""Mutations on log lines."""

from typing import TYPE_CHECKING, Any, cast

import strawberry

from flowstead_server.api.context import Info, Input
from flowstead_server.api.fields import mutation
from flowstead_server.api.inputs.runs import WriteRunLogsInput
from flowstead_server.api.payloads import SuccessPayload
from flowstead_server.orchestration import logs

if TYPE_CHECKING:
    from collections.abc import Mapping


@strawberry.type
class LogMutations:
    """The fields of `Mutation` for log lines."""

    @mutation(
        description="Store log lines. If one belongs to an unknown run nothing is stored (`Foreign key violation.`). "
        "A repeated `batch_id` stores nothing again."
    )
    async def write_run_logs(self, info: Info, input_: Input[WriteRunLogsInput]) -> SuccessPayload | None:
        """Store log lines; they stay the mappings that they were on the wire."""
        lines = cast("list[Mapping[str, Any]]", input_.logs)
        await logs.write_run_logs(info.context.database, info.context.caller, lines, input_.batch_id)
        return SuccessPayload(success=True)
