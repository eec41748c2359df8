"""`hello_flow`: a flow to try things with, `prefect run -m prefect.hello_world`."""

from prefect import Flow, Parameter, task
from prefect.utilities.context import context

__all__ = ["hello_flow"]


@task
def say_hello(name: str) -> None:
    """Log a greeting."""
    context["logger"].info("Hello, %s!", name)


with Flow("hello-world") as hello_flow:
    say_hello(Parameter("name", default="world"))
