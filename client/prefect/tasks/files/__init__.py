"""Tasks on files and directories; they raise what the operating system says."""

from prefect.tasks.files.compression import Unzip, Zip
from prefect.tasks.files.operations import Copy, Glob, Move, Remove

__all__ = ["Copy", "Glob", "Move", "Remove", "Unzip", "Zip"]
