"""Mutations on log lines."""

import strawberry

from flowstead_server.api.context import Info, Input
from flowstead_server.api.inputs.runs import WriteRunLogsInput
from flowstead_server.api.payloads import SuccessPayload


@strawberry.type
class LogMutations:
    """The fields of `Mutation` for log lines."""

    @strawberry.mutation(
        description="Store log lines. A line of an unknown run is the error `Foreign key violation.`, and nothing is stored."
    )
    async def write_run_logs(self, info: Info, input_: Input[WriteRunLogsInput]) -> SuccessPayload | None:
        raise NotImplementedError
