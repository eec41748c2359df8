"""Inputs of the mutations on flow groups."""

from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from flowstead_server.api.inputs.base import wire_input

_GROUP_ID = "Id of the flow group."
_CLOCK_PARAMETERS = "Values of parameters for the runs that this clock makes: a JSON object."


@wire_input(name="delete_flow_group_input", description="The flow group to delete.")
class DeleteFlowGroupInput:
    """Input of `delete_flow_group`."""

    flow_group_id: UUID = strawberry.field(description=_GROUP_ID)


@wire_input(name="set_flow_group_default_parameters_input", description="Values of parameters for later runs.")
class SetFlowGroupDefaultParametersInput:
    """Input of `set_flow_group_default_parameters`."""

    flow_group_id: UUID = strawberry.field(description=_GROUP_ID)
    parameters: JSON = strawberry.field(description="Values by name, which replace all that were set before.")


@wire_input(name="set_flow_group_labels_input", description="Labels for later runs.")
class SetFlowGroupLabelsInput:
    """Input of `set_flow_group_labels`."""

    flow_group_id: UUID = strawberry.field(description=_GROUP_ID)
    labels: list[str] | None = strawberry.field(
        description="The labels; an empty list means none, null means those of the flow."
    )


@wire_input(name="set_flow_group_description_input", description="A description for all versions of a flow.")
class SetFlowGroupDescriptionInput:
    """Input of `set_flow_group_description`."""

    flow_group_id: UUID = strawberry.field(description=_GROUP_ID)
    description: str | None = strawberry.field(description="The description; null removes it.")


@wire_input(name="set_flow_group_concurrency_limit_input", description="A limit for the runs of a flow.")
class SetFlowGroupConcurrencyLimitInput:
    """Input of `set_flow_group_concurrency_limit`."""

    flow_group_id: UUID = strawberry.field(description=_GROUP_ID)
    limit: int | None = strawberry.field(
        description="How many may run at the same time, all versions together: 0 or more; null removes the limit."
    )


@wire_input(name="set_flow_group_run_config_input", description="How to start the processes of later runs.")
class SetFlowGroupRunConfigInput:
    """Input of `set_flow_group_run_config`."""

    flow_group_id: UUID = strawberry.field(description=_GROUP_ID)
    run_config: JSON | None = strawberry.field(
        description="A run config as `run_config.serialize()` gives it; null means that of the flow."
    )


@wire_input(name="cron_clock_input", description="A clock that follows a cron expression.")
class CronClockInput:
    """One member of `set_flow_group_schedule_input`."""

    cron: str = strawberry.field(description="The expression: five fields, or six with seconds at the end.")
    parameter_defaults: JSON | None = strawberry.field(description=_CLOCK_PARAMETERS)


@wire_input(name="interval_clock_input", description="A clock that ticks in equal steps.")
class IntervalClockInput:
    """One member of `set_flow_group_schedule_input`."""

    interval: int = strawberry.field(description="Seconds from tick to tick, at least 60.")
    parameter_defaults: JSON | None = strawberry.field(description=_CLOCK_PARAMETERS)


@wire_input(name="set_flow_group_schedule_input", description="A schedule instead of the flow's own.")
class SetFlowGroupScheduleInput:
    """Input of `set_flow_group_schedule`."""

    flow_group_id: UUID = strawberry.field(description=_GROUP_ID)
    cron_clocks: list[CronClockInput] | None = strawberry.field(description="Clocks that follow cron expressions.")
    interval_clocks: list[IntervalClockInput] | None = strawberry.field(description="Clocks that tick in equal steps.")
    timezone: str | None = strawberry.field(
        description="Zone whose wall clock all clocks follow, such as `Europe/Berlin`; null means UTC."
    )
    missed_runs: str | None = strawberry.field(
        description="What becomes of runs that no scheduler was at work to make: `skip`, `latest` or `all`; null means "
        "as the server is set."
    )


@wire_input(name="delete_flow_group_schedule_input", description="The flow group whose schedule is to go.")
class DeleteFlowGroupScheduleInput:
    """Input of `delete_flow_group_schedule`."""

    flow_group_id: UUID = strawberry.field(description=_GROUP_ID)
