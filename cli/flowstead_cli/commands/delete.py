"""`prefect delete project`: remove objects from the API, with all that is in them and without asking."""

from dataclasses import dataclass
from typing import Annotated

import typer

from flowstead_cli.errors import CliError
from flowstead_cli.output.lines import GREEN, say
from flowstead_cli.wiring import group_app

app = group_app("Delete objects in the API: projects.")


@dataclass(frozen=True, slots=True)
class ProjectOptions:
    """The project to delete."""

    name: str


def run(options: ProjectOptions) -> None:
    """Delete a project.

    Raises:
        CliError: there is no such project, or the API did not delete it.
        prefect.exceptions.ClientError: the API refused or cannot be reached.
    """
    from flowstead_cli.api import open_session
    from prefect._generated import operations as ops

    with open_session() as session:
        found = session.execute(ops.projects_by_name(name=options.name))
        if not found:
            raise CliError(f"Project {options.name} not found; `prefect get projects` lists the projects there are.")
        if not session.execute(ops.delete_project(project_id=found[0].id)).success:
            raise CliError(f"The API did not delete the project {options.name} ({found[0].id}).")
    say(f"{options.name} deleted", GREEN)


@app.command("project")
def project(name: Annotated[str, typer.Argument(help="Name of the project.")]) -> None:
    """Delete a project with its flows, their runs and their logs; without asking.

    Example:  prefect delete project tutorial
    """
    run(ProjectOptions(name=name))
