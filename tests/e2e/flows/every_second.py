"""A flow that runs by itself."""

import prefect
from prefect import Flow, task
from prefect.schedules import Schedule
from prefect.schedules.clocks import CronClock


@task
def tell():
    prefect.context.get("logger").info("due %s", prefect.context.get("scheduled_start_time"))


# The sixth field is for seconds.
with Flow("every-second", schedule=Schedule([CronClock("* * * * * *")])) as flow:
    tell()
