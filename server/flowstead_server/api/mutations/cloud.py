"""Mutations on what 1.x kept in its cloud only: key-value pairs, secrets, concurrency limits and API keys."""

import strawberry

from flowstead_server.api.context import Info, Input
from flowstead_server.api.fields import mutation
from flowstead_server.api.inputs.cloud import (
    CreateApiKeyInput,
    DeleteApiKeyInput,
    DeleteFlowConcurrencyLimitInput,
    DeleteKeyValueInput,
    DeleteTaskTagLimitInput,
    DisableFlowVersionLockInput,
    EnableFlowVersionLockInput,
    SetKeyValueInput,
    SetSecretInput,
    UpdateFlowConcurrencyLimitInput,
    UpdateTaskTagLimitInput,
)
from flowstead_server.api.payloads import (
    CreateApiKeyPayload,
    FlowConcurrencyLimitIdPayload,
    KeyValueIdPayload,
    SuccessPayload,
    TaskTagLimitIdPayload,
)
from flowstead_server.orchestration import api_keys, flow_groups, key_values, limits


@strawberry.type
class CloudMutations:
    """The fields of `Mutation` for key-value pairs, secrets, limits and API keys."""

    @mutation(description="Store a value under a key, in place of what was there.")
    async def set_key_value(self, info: Info, input_: Input[SetKeyValueInput]) -> KeyValueIdPayload | None:
        """Store a value."""
        context = info.context
        pair_id = await key_values.set_key_value(context.database, context.caller, input_.key, input_.value)
        return KeyValueIdPayload(id=pair_id)

    @mutation(description="Delete a key and its value.")
    async def delete_key_value(self, info: Info, input_: Input[DeleteKeyValueInput]) -> SuccessPayload | None:
        """Delete a key."""
        success = await key_values.delete_key_value(info.context.database, info.context.caller, input_.key_value_id)
        return SuccessPayload(success=success)

    @mutation(description="Store a secret under a name, in place of what was there. Read it with `secret_value`.")
    async def set_secret(self, info: Info, input_: Input[SetSecretInput]) -> SuccessPayload | None:
        """Store a secret."""
        await key_values.set_secret(info.context.database, info.context.caller, input_.name, input_.value)
        return SuccessPayload(success=True)

    @mutation(description="Set how many task runs with a tag may run at the same time.")
    async def update_task_tag_limit(
        self, info: Info, input_: Input[UpdateTaskTagLimitInput]
    ) -> TaskTagLimitIdPayload | None:
        """Set a limit of task runs."""
        context = info.context
        limit_id = await limits.update_task_tag_limit(context.database, context.caller, input_.tag, input_.limit)
        return TaskTagLimitIdPayload(id=limit_id)

    @mutation(description="Remove a limit of task runs.")
    async def delete_task_tag_limit(self, info: Info, input_: Input[DeleteTaskTagLimitInput]) -> SuccessPayload | None:
        """Remove a limit of task runs."""
        success = await limits.delete_task_tag_limit(info.context.database, info.context.caller, input_.limit_id)
        return SuccessPayload(success=success)

    @mutation(description="Set how many flow runs with a label may run at the same time.")
    async def update_flow_concurrency_limit(
        self, info: Info, input_: Input[UpdateFlowConcurrencyLimitInput]
    ) -> FlowConcurrencyLimitIdPayload | None:
        """Set a limit of flow runs."""
        context = info.context
        limit_id = await limits.update_flow_concurrency_limit(
            context.database, context.caller, input_.label, input_.limit
        )
        return FlowConcurrencyLimitIdPayload(id=limit_id)

    @mutation(description="Remove a limit of flow runs.")
    async def delete_flow_concurrency_limit(
        self, info: Info, input_: Input[DeleteFlowConcurrencyLimitInput]
    ) -> SuccessPayload | None:
        """Remove a limit of flow runs."""
        context = info.context
        success = await limits.delete_flow_concurrency_limit(context.database, context.caller, input_.limit_id)
        return SuccessPayload(success=success)

    @mutation(description="Make an API key. It is shown this once and cannot be read again.")
    async def create_api_key(self, info: Info, input_: Input[CreateApiKeyInput]) -> CreateApiKeyPayload | None:
        """Make a key."""
        context = info.context
        made = await api_keys.create_api_key(
            context.database, context.caller, input_.name, input_.user_id, input_.expires_at, input_.secret
        )
        return CreateApiKeyPayload(id=made.id, key=made.key)

    @mutation(description="Revoke an API key.")
    async def delete_api_key(self, info: Info, input_: Input[DeleteApiKeyInput]) -> SuccessPayload | None:
        """Revoke a key."""
        success = await api_keys.delete_api_key(info.context.database, info.context.caller, input_.key_id)
        return SuccessPayload(success=success)

    @mutation(description="Refuse states for runs of a flow that were sent for another version than the stored one.")
    async def enable_flow_version_lock(
        self, info: Info, input_: Input[EnableFlowVersionLockInput]
    ) -> SuccessPayload | None:
        """Switch version locking on."""
        context = info.context
        success = await flow_groups.set_version_lock(context.database, context.caller, input_.flow_id, enabled=True)
        return SuccessPayload(success=success)

    @mutation(description="Take states for runs of a flow whatever version they were sent for.")
    async def disable_flow_version_lock(
        self, info: Info, input_: Input[DisableFlowVersionLockInput]
    ) -> SuccessPayload | None:
        """Switch version locking off."""
        context = info.context
        success = await flow_groups.set_version_lock(context.database, context.caller, input_.flow_id, enabled=False)
        return SuccessPayload(success=success)
