"""Which kind of API the user chose, in `~/.prefect/backend.toml` (or where PREFECT__BACKEND_CONFIG_PATH says).

The choice is read when Prefect is imported.  Raises `OSError` if the file cannot be read or written.
"""

import os
from pathlib import Path
from typing import Any

from prefect.configuration import BACKEND_CONFIG, load_toml

__all__ = ["BACKENDS", "backend_file", "load_backend", "save_backend"]

BACKENDS = ("server", "cloud")


def backend_file() -> Path:
    """Return where the choice is kept, also when `home_dir` is elsewhere."""
    return Path(os.path.expandvars(BACKEND_CONFIG)).expanduser()


def load_backend() -> dict[str, Any]:
    """Return what was chosen: `{"backend": "server"}`, say, or `{}`."""
    path = backend_file()
    return load_toml(str(path)) if path.is_file() else {}


def save_backend(backend: str) -> None:
    """Choose "server" or "cloud" for later programs; raises `ValueError` for another name."""
    if backend not in BACKENDS:
        raise ValueError(f"{backend} is not a valid backend API; choose one of {', '.join(BACKENDS)}.")
    path = backend_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'backend = "{backend}"\n', encoding="utf-8")
