"""Mutations on the states of runs."""

from collections.abc import Sequence
from uuid import UUID

import strawberry

from flowstead_server.api.context import Info, Input
from flowstead_server.api.fields import mutation
from flowstead_server.api.inputs.runs import SetFlowRunStateInput, SetFlowRunStatesInput, SetTaskRunStatesInput
from flowstead_server.api.payloads import (
    FlowRunIdPayload,
    SetFlowRunStatePayload,
    SetFlowRunStatesPayload,
    SetTaskRunStatePayload,
    SetTaskRunStatesPayload,
)
from flowstead_server.domain.errors import FlowsteadError
from flowstead_server.orchestration import states


@strawberry.type
class StateMutations:
    """The fields of `Mutation` for states."""

    @mutation(
        description="Move flow runs to new states. If one is refused the field is an error, but the others are stored."
    )
    async def set_flow_run_states(
        self, info: Info, input_: Input[SetFlowRunStatesInput]
    ) -> SetFlowRunStatesPayload | None:
        """Set states of flow runs."""
        context = info.context
        members = [states.SetFlowRunState(given.flow_run_id, given.state, given.version) for given in input_.states]
        results = _all_stored(await states.set_flow_run_states(context.database, context.caller, members))
        return SetFlowRunStatesPayload(
            states=[SetFlowRunStatePayload(id=done.id, status=done.status, message=done.message) for done in results]
        )

    @mutation(description="Move one flow run to a new state: an older spelling of `set_flow_run_states`.")
    async def set_flow_run_state(self, info: Info, input_: Input[SetFlowRunStateInput]) -> FlowRunIdPayload | None:
        """Set the state of a flow run."""
        member = states.SetFlowRunState(input_.flow_run_id, input_.state, input_.version)
        (done,) = _all_stored(await states.set_flow_run_states(info.context.database, info.context.caller, [member]))
        return FlowRunIdPayload(id=done.id)

    @mutation(
        description="Move task runs to new states. If one is refused, the others are stored nevertheless; the field is "
        "an error then, unless the input says `report_refusals`."
    )
    async def set_task_run_states(
        self, info: Info, input_: Input[SetTaskRunStatesInput]
    ) -> SetTaskRunStatesPayload | None:
        """Set states of task runs."""
        context = info.context
        members = [
            states.SetTaskRunState(given.task_run_id, given.state, given.version, given.flow_run_version)
            for given in input_.states
        ]
        results = await states.set_task_run_states(context.database, context.caller, members)
        # That the database is away is no refusal: the whole request may be sent again.
        _all_stored([one for one in results if not (input_.report_refusals and _is_refusal(one))])
        return SetTaskRunStatesPayload(
            states=[_reported(member.task_run_id, result) for member, result in zip(members, results, strict=True)]
        )


def _is_refusal(result: states.StateResult | FlowsteadError) -> bool:
    return isinstance(result, FlowsteadError) and not result.retryable


def _reported(task_run_id: UUID, result: states.StateResult | FlowsteadError) -> SetTaskRunStatePayload:
    if isinstance(result, FlowsteadError):
        return SetTaskRunStatePayload(id=task_run_id, status="REFUSED", message=result.message, code=result.code)
    return SetTaskRunStatePayload(id=result.id, status=result.status, message=result.message)


def _all_stored(results: Sequence[states.StateResult | FlowsteadError]) -> list[states.StateResult]:
    """Return the results, or raise the first error among them."""
    stored = []
    for result in results:
        if isinstance(result, FlowsteadError):
            raise result
        stored.append(result)
    return stored
