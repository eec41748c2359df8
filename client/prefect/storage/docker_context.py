"""The directory that Docker builds a flow's image from: Dockerfile, flows, files, and the check of them."""

import json
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from prefect.utilities.storage import flow_to_bytes_pickle, slugify

if TYPE_CHECKING:
    from prefect.core.flow import Flow

__all__ = ["Recipe", "write_context"]

_CHECK = "healthcheck.py"


@dataclass(frozen=True, slots=True)
class Recipe:
    """What goes into an image: either `base_image` or the file `dockerfile` begins it.

    `locations` maps names of flows to paths in the image, `files` paths of this machine to paths in the image.
    """

    base_image: str | None
    dockerfile: str | None
    dockerignore: str | None
    dependencies: tuple[str, ...]
    environment: Mapping[str, Any]
    files: Mapping[str, str]
    version: str
    prefect_directory: str
    locations: Mapping[str, str]
    pickled: tuple["Flow", ...]
    commands: tuple[str, ...]
    check: bool


def write_context(directory: Path, recipe: Recipe) -> str:
    """Write everything that the image is built from into a directory; returns the path of the Dockerfile.

    Raises `ValueError` for a file that is not there.
    """
    for flow in recipe.pickled:
        (directory / _pickle_name(flow.name)).write_bytes(flow_to_bytes_pickle(flow))
    for number, source in enumerate(recipe.files):
        _copy(Path(source), directory / _copied_name(number, source))
    if recipe.dockerignore is not None:
        _copy(Path(recipe.dockerignore), directory / ".dockerignore")
    shutil.copyfile(Path(__file__).with_name("docker_healthcheck.py"), directory / _CHECK)
    dockerfile = directory / "Dockerfile"
    dockerfile.write_text("\n".join(_lines(recipe)) + "\n", encoding="utf-8")
    return str(dockerfile)


def _pickle_name(flow_name: str) -> str:
    return f"{slugify(flow_name)}.flow"


def _copied_name(number: int, source: str) -> str:
    # Files of one name may come from several directories.
    return f"files/{number}/{Path(source).name}"


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    elif source.is_file():
        shutil.copyfile(source, target)
    else:
        raise ValueError(f"There is no file or directory {str(source)!r} to put into the image.")


def _lines(recipe: Recipe) -> Iterator[str]:
    if recipe.dockerfile is not None:
        path = Path(recipe.dockerfile)
        if not path.is_file():
            raise ValueError(f"There is no Dockerfile {recipe.dockerfile!r}.")
        yield path.read_text(encoding="utf-8").rstrip()
    else:
        yield f"FROM {recipe.base_image}"
    yield ""
    for name, value in recipe.environment.items():
        # JSON's quotes are those of Dockerfiles; `$` is left to the builder, which knows the image's variables.
        yield f"ENV {name}={json.dumps(str(value))}"
    yield ""
    yield "RUN pip install pip --upgrade"
    yield f"RUN python -c 'import prefect' || pip install flowstead=={shlex.quote(recipe.version)}"
    for dependency in recipe.dependencies:
        yield f"RUN pip install {shlex.quote(dependency)}"
    yield ""
    yield f"RUN mkdir -p {recipe.prefect_directory}/"
    for flow in recipe.pickled:
        yield _copy_line(_pickle_name(flow.name), recipe.locations[flow.name])
    yield _copy_line(_CHECK, f"{recipe.prefect_directory}/{_CHECK}")
    for number, (source, target) in enumerate(recipe.files.items()):
        yield _copy_line(_copied_name(number, source), target)
    yield from recipe.commands
    if recipe.check:
        locations = json.dumps(sorted({*recipe.locations.values()}))
        version = f"({sys.version_info.major}, {sys.version_info.minor})"
        check = PurePosixPath(recipe.prefect_directory) / _CHECK
        yield f"RUN python {check} {shlex.quote(locations)} {shlex.quote(version)}"


def _copy_line(source: str, target: str) -> str:
    return f"COPY {json.dumps([source, target])}"
