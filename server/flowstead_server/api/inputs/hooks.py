"""Inputs of the mutations on cloud hooks."""

from enum import Enum
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from flowstead_server.api.inputs.base import wire_input

_HOOK_ID = "Id of the cloud hook."


@strawberry.enum(name="cloud_hook_type", description="Which kind of system a cloud hook calls.")
class CloudHookType(Enum):
    """Kinds of cloud hooks."""

    PAGERDUTY = strawberry.enum_value("PAGERDUTY", description="An incident in PagerDuty.")
    SLACK_WEBHOOK = strawberry.enum_value("SLACK_WEBHOOK", description="A message in a Slack channel.")
    TWILIO = strawberry.enum_value("TWILIO", description="Text messages by Twilio.")
    WEBHOOK = strawberry.enum_value("WEBHOOK", description="A POST to any address.")
    PREFECT_MESSAGE = strawberry.enum_value("PREFECT_MESSAGE", description="A message stored in this server.")


@strawberry.enum(name="test_cloud_hook_state_type", description="The state that a test of a cloud hook reports.")
class TestCloudHookStateType(Enum):
    """States of test events."""

    SCHEDULED = strawberry.enum_value("Scheduled", description="The run waits for its start.")
    SUBMITTED = strawberry.enum_value("Submitted", description="An agent starts the run's process.")
    SUCCESS = strawberry.enum_value("Success", description="The run has ended well.")
    RUNNING = strawberry.enum_value("Running", description="The run's process runs.")
    FAILED = strawberry.enum_value("Failed", description="The run has failed.")


@wire_input(name="create_cloud_hook_input", description="A call to another system when runs enter certain states.")
class CreateCloudHookInput:
    """Input of `create_cloud_hook`."""

    tenant_id: UUID | None = strawberry.field(description="Tenant of the hook; null means the caller's own.")
    type: CloudHookType = strawberry.field(description="Which kind of system is called.")
    name: str | None = strawberry.field(description="Name of the hook.")
    version_group_id: str | None = strawberry.field(description="Only for runs of this flow; null means of all.")
    states: list[str] = strawberry.field(description="Names of states, such as `Failed`, in any case.")
    config: JSON | None = strawberry.field(description="How the system is called: a JSON object that fits the type.")
    secret: str | None = strawberry.field(
        description="Signs what a WEBHOOK or SLACK_WEBHOOK sends, in the header X-Flowstead-Signature; never shown."
    )


@wire_input(name="test_cloud_hook_input", description="A cloud hook to try out.")
class TestCloudHookInput:
    """Input of `test_cloud_hook`."""

    cloud_hook_id: UUID = strawberry.field(description=_HOOK_ID)
    flow_run_id: UUID | None = strawberry.field(description="Flow run to report; null means an invented one.")
    state_type: TestCloudHookStateType | None = strawberry.field(description="State to report; null means SUCCESS.")


@wire_input(name="delete_cloud_hook_input", description="The cloud hook to delete.")
class DeleteCloudHookInput:
    """Input of `delete_cloud_hook`."""

    cloud_hook_id: UUID = strawberry.field(description=_HOOK_ID)


@wire_input(name="set_cloud_hook_active_input", description="The cloud hook to switch on.")
class SetCloudHookActiveInput:
    """Input of `set_cloud_hook_active`."""

    cloud_hook_id: UUID = strawberry.field(description=_HOOK_ID)


@wire_input(name="set_cloud_hook_inactive_input", description="The cloud hook to switch off.")
class SetCloudHookInactiveInput:
    """Input of `set_cloud_hook_inactive`."""

    cloud_hook_id: UUID = strawberry.field(description=_HOOK_ID)


@wire_input(name="retry_cloud_hook_delivery_input", description="The delivery to try again.")
class RetryCloudHookDeliveryInput:
    """Input of `retry_cloud_hook_delivery`."""

    cloud_hook_delivery_id: UUID = strawberry.field(description="Id of the delivery.")
