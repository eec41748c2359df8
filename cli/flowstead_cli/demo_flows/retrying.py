"""A flow whose task fails twice and succeeds at the third attempt."""

from datetime import timedelta

import prefect
from prefect import Flow, task

ATTEMPTS_NEEDED = 3


@task(max_retries=3, retry_delay=timedelta(seconds=1))
def unreliable() -> str:
    """Fail at the first two attempts."""
    attempt = prefect.context.get("task_run_count", 1)
    if attempt < ATTEMPTS_NEEDED:
        raise RuntimeError(f"attempt {attempt} failed, as this example means it to")
    return f"attempt {attempt} succeeded"


@task
def report(outcome: str) -> None:
    """Write the outcome to the log."""
    prefect.context.get("logger").info(outcome)


with Flow("retrying") as flow:
    report(unreliable())
