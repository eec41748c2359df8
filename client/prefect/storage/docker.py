"""Flows inside a Docker image, which is built where the flow is registered and run by agents that start containers.

Using it raises `ImportError` without the extra `docker`, `ValueError` with the builder's own words for an image that
cannot be built or pushed, and `FlowStorageError` if no Docker answers.
"""

import contextlib
import os
import sys
import tempfile
import uuid
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from prefect._version import __version__
from prefect.exceptions import FlowStorageError
from prefect.storage.base import Storage
from prefect.storage.docker_context import Recipe, write_context
from prefect.utilities.extras import import_extra
from prefect.utilities.storage import (
    extract_flow_from_file,
    flow_from_bytes_pickle,
    slugify,
    timestamp_slug,
)

if TYPE_CHECKING:
    from prefect.core.flow import Flow

__all__ = ["Docker"]

_SOCKET = "unix:///var/run/docker.sock" if sys.platform != "win32" else "npipe:////./pipe/docker_engine"


class Docker(Storage):
    """Builds an image that has the flows, their dependencies and files in it, and pushes it to `registry_url`.

    The image is made from `base_image` (default Python of this version, `slim`) or goes on from the file `dockerfile`.
    `files` maps absolute paths of this machine to paths in the image.  Flows are pickled into
    `{prefect_directory}/flows` (or to `path`), or with `stored_as_script` are expected in the script at `path`, which
    `files` may bring.  The image is checked by loading the flows in it, unless `ignore_healthchecks`.  `local_image`
    says that the base image need not be pulled; `build_kwargs` go to the builder as they are.
    """

    fields: ClassVar[tuple[str, ...]] = (
        "registry_url",
        "image_name",
        "image_tag",
        "path",
        "stored_as_script",
        "prefect_version",
    )
    # For storages that were read from JSON.
    prefect_directory = "/opt/prefect"

    def __init__(
        self,
        registry_url: str | None = None,
        base_image: str | None = None,
        dockerfile: str | None = None,
        dockerignore: str | None = None,
        python_dependencies: Iterable[str] | None = None,
        image_name: str | None = None,
        image_tag: str | None = None,
        env_vars: Mapping[str, Any] | None = None,
        files: Mapping[str, str] | None = None,
        prefect_version: str | None = None,
        local_image: bool = False,
        ignore_healthchecks: bool = False,
        base_url: str | None = None,
        tls_config: Any = False,
        build_kwargs: Mapping[str, Any] | None = None,
        prefect_directory: str = "/opt/prefect",
        path: str | None = None,
        stored_as_script: bool = False,
        extra_dockerfile_commands: Iterable[str] | None = None,
        **kwargs: Any,
    ) -> None:
        if base_image and dockerfile:
            raise ValueError("Only one of `base_image` and `dockerfile` can be provided.")
        relative = [source for source in (files or {}) if not Path(source).is_absolute()]
        if relative:
            raise ValueError(
                f"Provided paths {relative} are not absolute file paths, please provide absolute paths only."
            )
        self.registry_url = registry_url
        self.base_image = base_image
        if base_image is None and dockerfile is None:
            self.base_image = f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
        self.dockerfile = dockerfile
        self.dockerignore = dockerignore
        self.python_dependencies = list(python_dependencies or ())
        if "wheel" not in self.python_dependencies:
            self.python_dependencies.append("wheel")
        self.image_name = image_name
        self.image_tag = image_tag
        self.env_vars = {"PREFECT__USER_CONFIG_PATH": f"{prefect_directory}/config.toml", **(env_vars or {})}
        self.files = dict(files or {})
        self.prefect_version = prefect_version or __version__
        self.local_image = local_image
        self.ignore_healthchecks = ignore_healthchecks
        self.base_url = base_url or os.environ.get("DOCKER_HOST") or _SOCKET
        self.tls_config = tls_config
        self.build_kwargs = dict(build_kwargs or {})
        self.prefect_directory = prefect_directory
        self.path = path
        self.extra_dockerfile_commands = list(extra_dockerfile_commands or ())
        super().__init__(stored_as_script=stored_as_script, **kwargs)

    @property
    def name(self) -> str:
        """The full name of the image; raises `ValueError` before it is built."""
        if self.image_name is None or self.image_tag is None:
            raise ValueError("Docker storage is missing required fields image_name and image_tag")
        return f"{self._repository}:{self.image_tag}"

    @property
    def _repository(self) -> str:
        return f"{self.registry_url.rstrip('/')}/{self.image_name}" if self.registry_url else str(self.image_name)

    def add_flow(self, flow: "Flow") -> str:
        """Note where the flow is to be in the image; returns that path."""
        self._refuse_second(flow)
        location = self.path or f"{self.prefect_directory}/flows/{slugify(flow.name)}.prefect"
        self.flows[flow.name] = location
        self._flows[flow.name] = flow
        return location

    def get_flow(self, flow_name: str) -> "Flow":
        """Return the flow of that name from the image; to be called inside a container of it."""
        location = self._location(flow_name)
        if not Path(location).is_file():
            raise FlowStorageError(
                f"The flow {flow_name!r} is stored in {location!r} of a Docker image, and there is no such file here. "
                "Run it with an agent that starts containers of the image."
            )
        if self.stored_as_script:
            return extract_flow_from_file(location, flow_name=flow_name)
        return flow_from_bytes_pickle(Path(location).read_bytes())

    # -- the image ---------------------------------------------------------------------------------------------------

    def build(self, push: bool = True) -> "Docker":
        """Build the image and push it, if there is a registry.

        Without a name the image is named after its one flow, without a tag after the time.  A pushed image is removed
        from this machine.
        """
        self.logger.info("Building the flow's Docker storage...")
        if push and not self.registry_url:
            warnings.warn(
                "This Docker storage object has no `registry_url`, and will not be pushed.", UserWarning, stacklevel=2
            )
        if self.image_name is None:
            self.image_name = slugify(next(iter(self.flows))) if len(self.flows) == 1 else str(uuid.uuid4())
        if self.image_tag is None:
            self.image_tag = timestamp_slug()
        if self.base_image and not self.local_image:
            self.pull_image()
        with self._engine() as engine, tempfile.TemporaryDirectory(prefix="flow-image-") as directory:
            dockerfile = self.create_dockerfile_object(directory)
            options = {"tag": self.name, "forcerm": True, **self.build_kwargs}
            steps = engine.build(path=directory, dockerfile=dockerfile, decode=True, **options)
            self._follow(steps, "Your docker image failed to build!")
            if not engine.images(name=self.name):
                raise ValueError(f"Your docker image failed to build! There is no image {self.name} after it.")
            if push and self.registry_url:
                self.push_image(self._repository, self.image_tag)
                engine.remove_image(image=self.name, force=True)
        return self

    def create_dockerfile_object(self, directory: str) -> str:
        """Write Dockerfile, flows, files and health check into a directory; returns the Dockerfile's path.

        Raises `ValueError` for a file that is not there.
        """
        return write_context(
            Path(directory),
            Recipe(
                base_image=self.base_image,
                dockerfile=self.dockerfile,
                dockerignore=self.dockerignore,
                dependencies=tuple(self.python_dependencies),
                environment=self.env_vars,
                files=self.files,
                version=self.prefect_version,
                prefect_directory=self.prefect_directory,
                locations=self.flows,
                pickled=() if self.stored_as_script else tuple(self._flows.values()),
                commands=tuple(self.extra_dockerfile_commands),
                check=not self.ignore_healthchecks,
            ),
        )

    def pull_image(self) -> None:
        """Pull the base image; raises `ValueError` if that is refused."""
        with self._engine() as engine:
            self._follow(engine.pull(str(self.base_image), stream=True, decode=True), "The base image was not pulled.")

    def push_image(self, image_name: str, image_tag: str) -> None:
        """Push an image; raises `ValueError` if that is refused."""
        self.logger.info("Pushing image to the registry...")
        with self._engine() as engine:
            self._follow(engine.push(image_name, tag=image_tag, stream=True, decode=True), "The image was not pushed.")

    @contextlib.contextmanager
    def _engine(self) -> Iterator[Any]:
        docker = import_extra("docker", "docker", "Docker storage")
        try:
            engine = docker.APIClient(base_url=self.base_url, version="auto", tls=self.tls_config)
        except docker.errors.DockerException as error:
            raise FlowStorageError(
                f"Docker does not answer at {self.base_url}: {error}. Start it, or give its address as `base_url`."
            ) from error
        try:
            yield engine
        except docker.errors.APIError as error:
            raise ValueError(f"Docker at {self.base_url} refused: {error.explanation or error}") from error
        finally:
            engine.close()

    def _follow(self, steps: Iterable[Any], failed: str) -> None:
        """Log what the engine says; raises `ValueError` that begins with `failed` if it says that it failed."""
        said = []
        for step in steps:
            if "error" in step:
                said.append(str(step["error"]).strip())
                recent = "\n".join(said[-20:])
                raise ValueError(f"{failed} What Docker said:\n{recent}")
            line = str(step.get("stream") or "").rstrip()
            if line:
                said.append(line)
                self.logger.debug("%s", line)
