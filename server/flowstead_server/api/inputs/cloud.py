"""Inputs of the mutations on key-value pairs, secrets, concurrency limits and API keys."""

from datetime import datetime
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from flowstead_server.api.inputs.base import wire_input

_LIMIT = "How many may run at the same time: 0 or more."
_LIMIT_ID = "Id of the limit."


@wire_input(name="set_key_value_input", description="A value to store under a key.")
class SetKeyValueInput:
    """Input of `set_key_value`."""

    key: str = strawberry.field(description="The key, 1 to 1,000 bytes.")
    value: JSON | None = strawberry.field(description="The value, at most 10,000 characters of JSON.")


@wire_input(name="delete_key_value_input", description="The key-value pair to delete.")
class DeleteKeyValueInput:
    """Input of `delete_key_value`."""

    key_value_id: UUID = strawberry.field(description="Id of the pair.")


@wire_input(name="set_secret_input", description="A secret to store under a name.")
class SetSecretInput:
    """Input of `set_secret`."""

    name: str = strawberry.field(description="Its name, 1 to 1,000 bytes.")
    value: JSON | None = strawberry.field(description="The secret: any JSON value.")


@wire_input(name="update_task_tag_limit_input", description="A limit for the task runs with a tag.")
class UpdateTaskTagLimitInput:
    """Input of `update_task_tag_limit`."""

    tag: str = strawberry.field(description="The tag of the tasks.")
    limit: int = strawberry.field(description=_LIMIT)


@wire_input(name="delete_task_tag_limit_input", description="The limit to remove.")
class DeleteTaskTagLimitInput:
    """Input of `delete_task_tag_limit`."""

    limit_id: UUID = strawberry.field(description=_LIMIT_ID)


@wire_input(name="update_flow_concurrency_limit_input", description="A limit for the flow runs with a label.")
class UpdateFlowConcurrencyLimitInput:
    """Input of `update_flow_concurrency_limit`."""

    label: str = strawberry.field(description="The label of the flow runs.")
    limit: int = strawberry.field(description=_LIMIT)


@wire_input(name="delete_flow_concurrency_limit_input", description="The limit to remove.")
class DeleteFlowConcurrencyLimitInput:
    """Input of `delete_flow_concurrency_limit`."""

    limit_id: UUID = strawberry.field(description=_LIMIT_ID)


@wire_input(name="create_api_key_input", description="An API key to make.")
class CreateApiKeyInput:
    """Input of `create_api_key`."""

    name: str = strawberry.field(description="Its name, 1 to 255 characters.")
    user_id: UUID | None = strawberry.field(description="User that it is for; null means none in particular.")
    expires_at: datetime | None = strawberry.field(description="When it ends; null means never.")
    secret: str | None = strawberry.field(
        description="The key itself, made by the caller as 43 random characters (32 bytes in URL-safe base64). Sent "
        "again, it is the same API key. Null means that the server makes one, another one each time."
    )


@wire_input(name="delete_api_key_input", description="The API key to revoke.")
class DeleteApiKeyInput:
    """Input of `delete_api_key`."""

    key_id: UUID = strawberry.field(description="Id of the key.")


@wire_input(name="enable_flow_version_lock_input", description="The flow whose versions of states are to be checked.")
class EnableFlowVersionLockInput:
    """Input of `enable_flow_version_lock`."""

    flow_id: UUID = strawberry.field(description="Id of any version of the flow.")


@wire_input(name="disable_flow_version_lock_input", description="The flow whose versions of states no longer matter.")
class DisableFlowVersionLockInput:
    """Input of `disable_flow_version_lock`."""

    flow_id: UUID = strawberry.field(description="Id of any version of the flow.")
