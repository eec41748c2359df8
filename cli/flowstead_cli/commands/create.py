"""`prefect create project`: make objects in the API.  An object that exists already is success, whoever made it."""

from dataclasses import dataclass
from typing import Annotated

import typer

from flowstead_cli.output.lines import GREEN, say
from flowstead_cli.wiring import group_app

app = group_app("Create objects in the API: projects.")


@dataclass(frozen=True, slots=True)
class ProjectOptions:
    """The project to create."""

    name: str
    description: str | None = None
    skip_if_exists: bool = False


def run(options: ProjectOptions) -> None:
    """Create a project, or find that it exists.

    Raises:
        prefect.exceptions.ClientError: the API refused or cannot be reached.
    """
    from flowstead_cli.api import open_session
    from prefect._generated import operations as ops
    from prefect.client.errors import ApiError
    from prefect.client.request import UNSET

    with open_session() as session:
        if options.skip_if_exists and session.execute(ops.projects_by_name(name=options.name)):
            say(f"{options.name} already exists", GREEN)
            return
        description = UNSET if options.description is None else options.description
        try:
            session.execute(ops.create_project(name=options.name, description=description))
        except ApiError:
            if not session.execute(ops.projects_by_name(name=options.name)):
                raise
    say(f"{options.name} created", GREEN)


@app.command("project")
def project(
    name: Annotated[str, typer.Argument(help="Name of the project.")],
    description: Annotated[str | None, typer.Option("--description", "-d", help="What the project is for.")] = None,
    skip_if_exists: Annotated[
        bool, typer.Option("--skip-if-exists", help="Say so, instead of creating, when the project exists.")
    ] = False,
) -> None:
    """Create a project, which flows are registered into.

    A project that exists already is success, and is left as it is.

    Example:  prefect create project tutorial -d "First steps"
    """
    run(ProjectOptions(name=name, description=description, skip_if_exists=skip_if_exists))
