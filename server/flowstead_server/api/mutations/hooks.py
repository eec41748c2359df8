"""Mutations on cloud hooks."""

import strawberry

from flowstead_server.api.context import Info, Input
from flowstead_server.api.fields import mutation
from flowstead_server.api.inputs.hooks import (
    CreateCloudHookInput,
    DeleteCloudHookInput,
    RetryCloudHookDeliveryInput,
    SetCloudHookActiveInput,
    SetCloudHookInactiveInput,
    TestCloudHookInput,
    TestCloudHookStateType,
)
from flowstead_server.api.payloads import CloudHookIdPayload, SuccessPayload
from flowstead_server.api.scalars import plain
from flowstead_server.orchestration import hook_deliveries, hooks


@strawberry.type
class HookMutations:
    """The fields of `Mutation` for cloud hooks."""

    @mutation(description="Call another system whenever flow runs enter certain states.")
    async def create_cloud_hook(self, info: Info, input_: Input[CreateCloudHookInput]) -> CloudHookIdPayload | None:
        """Create a hook."""
        request = hooks.CreateCloudHook(
            type=str(input_.type.value),
            states=input_.states,
            config=plain(input_.config),
            name=input_.name,
            version_group_id=input_.version_group_id,
            secret=input_.secret,
            tenant_id=input_.tenant_id,
        )
        return CloudHookIdPayload(id=await hooks.create_cloud_hook(info.context.database, info.context.caller, request))

    @mutation(description="Send a test event through a cloud hook. If it does not arrive, `error` says why.")
    async def test_cloud_hook(self, info: Info, input_: Input[TestCloudHookInput]) -> SuccessPayload | None:
        """Try a hook."""
        state = input_.state_type or TestCloudHookStateType.SUCCESS
        error = await hooks.try_cloud_hook(
            info.context.database, info.context.caller, input_.cloud_hook_id, input_.flow_run_id, str(state.value)
        )
        return SuccessPayload(success=error is None, error=error)

    @mutation(description="Delete a cloud hook.")
    async def delete_cloud_hook(self, info: Info, input_: Input[DeleteCloudHookInput]) -> SuccessPayload | None:
        """Delete a hook."""
        success = await hooks.delete_cloud_hook(info.context.database, info.context.caller, input_.cloud_hook_id)
        return SuccessPayload(success=success)

    @mutation(description="Switch a cloud hook on.")
    async def set_cloud_hook_active(self, info: Info, input_: Input[SetCloudHookActiveInput]) -> SuccessPayload | None:
        """Switch a hook on."""
        context = info.context
        success = await hooks.set_cloud_hook_active(context.database, context.caller, input_.cloud_hook_id, active=True)
        return SuccessPayload(success=success)

    @mutation(description="Switch a cloud hook off.")
    async def set_cloud_hook_inactive(
        self, info: Info, input_: Input[SetCloudHookInactiveInput]
    ) -> SuccessPayload | None:
        """Switch a hook off."""
        context = info.context
        success = await hooks.set_cloud_hook_active(
            context.database, context.caller, input_.cloud_hook_id, active=False
        )
        return SuccessPayload(success=success)

    @mutation(
        description="Try a delivery of a cloud hook now: a dead one from the start, a waiting one before its time."
    )
    async def retry_cloud_hook_delivery(
        self, info: Info, input_: Input[RetryCloudHookDeliveryInput]
    ) -> SuccessPayload | None:
        """Try a delivery again."""
        success = await hook_deliveries.retry_cloud_hook_delivery(
            info.context.database, info.context.caller, input_.cloud_hook_delivery_id
        )
        return SuccessPayload(success=success)
