"""A flow whose task leaves artifacts behind."""

from prefect import Flow, task
from prefect.backend.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    delete_artifact,
    update_link_artifact,
    update_markdown_artifact,
)


@task
def leave():
    link = create_link_artifact("https://example.org")
    text = create_markdown_artifact("**old**")
    update_link_artifact(link, link="https://example.org/new")
    update_markdown_artifact(text, markdown="**new**")
    delete_artifact(create_markdown_artifact("for a moment"))


with Flow("artifacts") as flow:
    leave()
