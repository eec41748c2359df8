"""Mutations on log lines."""

import strawberry

from flowstead_server.api.context import Info, Input
from flowstead_server.api.fields import mutation
from flowstead_server.api.inputs.runs import WriteRunLogsInput
from flowstead_server.api.payloads import SuccessPayload


@strawberry.type
class LogMutations:
    """The fields of `Mutation` for log lines."""

    @mutation(
        description="Store log lines. If one belongs to an unknown run nothing is stored (`Foreign key violation.`)."
    )
    async def write_run_logs(self, info: Info, input_: Input[WriteRunLogsInput]) -> SuccessPayload | None:
        raise NotImplementedError
