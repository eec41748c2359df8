"""A mapped flow: one task run for each number, and one that adds up what they gave."""

import prefect
from prefect import Flow, Parameter, task


@task
def numbers(count: int) -> list[int]:
    """Make the numbers to map over."""
    return list(range(1, count + 1))


@task
def square(number: int) -> int:
    """Square one number."""
    return number * number


@task
def total(values: list[int]) -> int:
    """Add up the squares and write the sum to the log."""
    result = sum(values)
    prefect.context.get("logger").info("The sum of %d squares is %d.", len(values), result)
    return result


with Flow("mapped-squares") as flow:
    count = Parameter("count", default=5)
    total(square.map(numbers(count)))
