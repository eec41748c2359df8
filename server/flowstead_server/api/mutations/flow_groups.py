"""Mutations on flow groups, and on what flows share through them."""

import strawberry

from flowstead_server.api.context import Info, Input
from flowstead_server.api.fields import mutation
from flowstead_server.api.inputs.flow_groups import (
    DeleteFlowGroupInput,
    DeleteFlowGroupScheduleInput,
    SetFlowGroupConcurrencyLimitInput,
    SetFlowGroupDefaultParametersInput,
    SetFlowGroupDescriptionInput,
    SetFlowGroupLabelsInput,
    SetFlowGroupRunConfigInput,
    SetFlowGroupScheduleInput,
)
from flowstead_server.api.inputs.flows import (
    DisableFlowHeartbeatInput,
    DisableFlowLazarusProcessInput,
    EnableFlowHeartbeatInput,
    EnableFlowLazarusProcessInput,
)
from flowstead_server.api.payloads import SuccessPayload
from flowstead_server.orchestration import deletions, flow_groups, limits


@strawberry.type
class FlowGroupMutations:
    """The fields of `Mutation` for flow groups."""

    @mutation(description="Let the processes of a flow's runs send heartbeats.")
    async def enable_flow_heartbeat(self, info: Info, input_: Input[EnableFlowHeartbeatInput]) -> SuccessPayload | None:
        """Switch heartbeats on."""
        context = info.context
        success = await flow_groups.set_heartbeat(context.database, context.caller, input_.flow_id, enabled=True)
        return SuccessPayload(success=success)

    @mutation(description="Let the processes of a flow's runs send no heartbeats; such runs are never taken for lost.")
    async def disable_flow_heartbeat(
        self, info: Info, input_: Input[DisableFlowHeartbeatInput]
    ) -> SuccessPayload | None:
        """Switch heartbeats off."""
        context = info.context
        success = await flow_groups.set_heartbeat(context.database, context.caller, input_.flow_id, enabled=False)
        return SuccessPayload(success=success)

    @mutation(description="Put lost runs of a flow back into the queue.")
    async def enable_flow_lazarus_process(
        self, info: Info, input_: Input[EnableFlowLazarusProcessInput]
    ) -> SuccessPayload | None:
        """Switch resurrection on."""
        context = info.context
        success = await flow_groups.set_lazarus(context.database, context.caller, input_.flow_id, enabled=True)
        return SuccessPayload(success=success)

    @mutation(description="Leave lost runs of a flow as they are.")
    async def disable_flow_lazarus_process(
        self, info: Info, input_: Input[DisableFlowLazarusProcessInput]
    ) -> SuccessPayload | None:
        """Switch resurrection off."""
        context = info.context
        success = await flow_groups.set_lazarus(context.database, context.caller, input_.flow_id, enabled=False)
        return SuccessPayload(success=success)

    @mutation(description="Delete a flow group with its flows and their runs.")
    async def delete_flow_group(self, info: Info, input_: Input[DeleteFlowGroupInput]) -> SuccessPayload | None:
        """Delete a flow group."""
        context = info.context
        success = await deletions.delete_flow_group(context.database, context.caller, input_.flow_group_id)
        return SuccessPayload(success=success)

    @mutation(description="Set how many runs of a flow may run at the same time, all its versions together.")
    async def set_flow_group_concurrency_limit(
        self, info: Info, input_: Input[SetFlowGroupConcurrencyLimitInput]
    ) -> SuccessPayload | None:
        """Set a limit of flow runs."""
        context = info.context
        success = await limits.set_flow_group_concurrency_limit(
            context.database, context.caller, input_.flow_group_id, input_.limit
        )
        return SuccessPayload(success=success)

    @mutation(description="Replace the values of parameters that later runs get unless they are given others.")
    async def set_flow_group_default_parameters(
        self, info: Info, input_: Input[SetFlowGroupDefaultParametersInput]
    ) -> SuccessPayload | None:
        """Replace default parameters."""
        context = info.context
        success = await flow_groups.set_default_parameters(
            context.database, context.caller, input_.flow_group_id, input_.parameters
        )
        return SuccessPayload(success=success)

    @mutation(description="Replace the labels that later runs get instead of the flow's.")
    async def set_flow_group_labels(self, info: Info, input_: Input[SetFlowGroupLabelsInput]) -> SuccessPayload | None:
        """Replace labels."""
        context = info.context
        success = await flow_groups.set_labels(context.database, context.caller, input_.flow_group_id, input_.labels)
        return SuccessPayload(success=success)

    @mutation(description="Replace the description that is shown instead of the flow's.")
    async def set_flow_group_description(
        self, info: Info, input_: Input[SetFlowGroupDescriptionInput]
    ) -> SuccessPayload | None:
        """Replace the description."""
        context = info.context
        success = await flow_groups.set_description(
            context.database, context.caller, input_.flow_group_id, input_.description
        )
        return SuccessPayload(success=success)

    @mutation(description="Replace the run config that later runs get instead of the flow's.")
    async def set_flow_group_run_config(
        self, info: Info, input_: Input[SetFlowGroupRunConfigInput]
    ) -> SuccessPayload | None:
        """Replace the run config."""
        context = info.context
        success = await flow_groups.set_run_config(
            context.database, context.caller, input_.flow_group_id, input_.run_config
        )
        return SuccessPayload(success=success)

    @mutation(description="Replace the schedule of a flow; runs that the old one made in advance are removed.")
    async def set_flow_group_schedule(
        self, info: Info, input_: Input[SetFlowGroupScheduleInput]
    ) -> SuccessPayload | None:
        """Replace the schedule."""
        context = info.context
        success = await flow_groups.set_flow_group_schedule(
            context.database,
            context.caller,
            input_.flow_group_id,
            [flow_groups.CronClock(clock.cron, clock.parameter_defaults) for clock in input_.cron_clocks or ()],
            [
                flow_groups.IntervalClock(clock.interval, clock.parameter_defaults)
                for clock in input_.interval_clocks or ()
            ],
            input_.timezone,
            input_.missed_runs,
        )
        return SuccessPayload(success=success)

    @mutation(description="Remove the schedule of a flow group, and the runs that it made in advance.")
    async def delete_flow_group_schedule(
        self, info: Info, input_: Input[DeleteFlowGroupScheduleInput]
    ) -> SuccessPayload | None:
        """Remove the schedule."""
        context = info.context
        success = await flow_groups.delete_flow_group_schedule(context.database, context.caller, input_.flow_group_id)
        return SuccessPayload(success=success)
