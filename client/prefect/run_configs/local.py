"""Runs as a process of a local agent's machine."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from prefect.run_configs.base import RunConfig

__all__ = ["LocalRun"]


class LocalRun(RunConfig):
    """Runs in `working_dir` (made absolute here; default the agent's)."""

    fields: ClassVar[tuple[str, ...]] = ("working_dir",)

    def __init__(
        self,
        *,
        env: Mapping[str, Any] | None = None,
        working_dir: str | None = None,
        labels: Iterable[str] | None = None,
    ) -> None:
        super().__init__(env=env, labels=labels)
        self.working_dir = None
        if working_dir is not None:
            self.working_dir = os.path.abspath(Path(working_dir).expanduser())  # noqa: PTH100 - symlinks stay
