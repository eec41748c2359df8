"""A flow with one parameter: says hello, a few times."""

import prefect
from prefect import Flow, Parameter, task


@task
def greeting(name: str) -> str:
    """Make the greeting."""
    return f"Hello, {name}!"


@task
def say(text: str, times: int) -> int:
    """Write the greeting to the log of the flow run."""
    logger = prefect.context.get("logger")
    for count in range(1, times + 1):
        logger.info("%s (%d of %d)", text, count, times)
    return times


with Flow("hello-world") as flow:
    name = Parameter("name", default="world")
    times = Parameter("times", default=3)
    say(greeting(name), times)
