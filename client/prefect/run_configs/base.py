"""What all run configs share: environment variables and labels."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

__all__ = ["RunConfig", "UniversalRun", "is_local_path", "parse_yaml", "read_local_file"]


class RunConfig:
    """The base of run configs.

    `env` are environment variables of the run's process; an agent takes the run if it has all its `labels`.  `fields`
    names what a kind adds to that, for serialization.  Raises `TypeError` if the labels are a string.
    """

    fields: ClassVar[tuple[str, ...]] = ()

    def __init__(self, env: Mapping[str, Any] | None = None, labels: Iterable[str] | None = None) -> None:
        if isinstance(labels, str):
            raise TypeError(f"`labels` must be a list of strings; got the string {labels!r}. Use [{labels!r}].")
        self.env = dict(env) if env is not None else None
        self.labels = set(labels or ())

    def serialize(self) -> dict[str, Any]:
        """Return the run config as JSON-able data."""
        from prefect.serialization.run_config import run_config_to_dict  # noqa: PLC0415 - it knows all kinds

        return run_config_to_dict(self)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, RunConfig) and self.serialize() == other.serialize()

    __hash__ = None  # type: ignore[assignment]  # equality goes by contents, which change

    def __repr__(self) -> str:
        return f"<RunConfig: {type(self).__name__}>"


class UniversalRun(RunConfig):
    """Runs with any agent; the default at registration."""


def is_local_path(path: str) -> bool:
    """Return whether a path names a file of this machine, rather than one that the agent fetches."""
    return urlsplit(path).scheme in {"", "file", "local"}


def read_local_file(path: str) -> str:
    """Return the text of a local file given as a path or URL; raises `OSError`."""
    parts = urlsplit(path)
    location = path if not parts.scheme else parts.netloc + parts.path
    return Path(os.path.expandvars(location)).expanduser().read_text(encoding="utf-8")


def parse_yaml(text: str, name: str) -> Any:
    """Return what YAML text, the value of `name`, says; raises `ValueError` for bad text."""
    import yaml  # noqa: PLC0415 - most run configs have none

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"`{name}` is no valid YAML: {error}") from error
