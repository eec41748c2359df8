"""Mistakes that a type checker finds: each line with a mark must have an error, and no other line."""
# ruff: noqa

from prefect import Client, Flow, Parameter, task
from prefect import Taks  # mistake: no such name


@task
def add(x: int, y: int = 1) -> int:
    return x + y


@task(max_retry=3)  # mistake: no such option
def misspelled() -> None:
    return None


@task(max_retries="3")  # mistake: not a number
def wrong_option() -> None:
    return None


with Flow("wrong") as flow:
    add("1")  # mistake: a text for a number
    add(1, 2, 3)  # mistake: too many arguments
    add(z=1)  # mistake: no such argument
    add()  # mistake: an argument is missing
    add(Parameter("p"), y=add(1))

text: str = add.run(1)  # mistake: it gives a number
Flow()  # mistake: a flow has a name
flow.run(parameters=[1])  # mistake: not a mapping
Client().create_flow_run(flow_idd="x")  # mistake: no such argument
number: int = Client().create_flow_run(flow_id="x")  # mistake: it gives a text
