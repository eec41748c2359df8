"""Which program keeps an agent or a server running: the option of the commands that print a file for it."""

from enum import StrEnum
from typing import Annotated

import typer

__all__ = ["Supervisor", "SupervisorOption"]


class Supervisor(StrEnum):
    """A program that keeps programs running."""

    SUPERVISORD = "supervisord"
    SYSTEMD = "systemd"


SupervisorOption = Annotated[Supervisor, typer.Option("--for", help="The program that the file is for.")]
