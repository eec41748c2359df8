"""API keys and tenants that are remembered per API, in `auth.toml` of the home directory.

A missing file is empty; one that is no valid TOML raises `ValueError` naming it.  Writing replaces the file in one step
and keeps it readable for its owner only.
"""

import json
import os
import re
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from prefect.configuration import config

__all__ = ["auth_file", "load_auth", "save_auth"]

_HEADER = (
    "# Credentials of Prefect APIs, one table for each host.\n# Written by the client; keep this file to yourself.\n"
)


def auth_file() -> Path:
    """Return where the credentials are kept."""
    return Path(os.path.expandvars(str(config["home_dir"]))).expanduser() / "auth.toml"


def _section(api_server: str) -> str:
    return re.sub(r"[^-.a-z0-9]+", "-", urlsplit(api_server).netloc.lower())


def _load() -> dict[str, Any]:
    path = auth_file()
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"The file {str(path)!r} is no valid TOML: {error}. Repair it or remove it.") from error


def load_auth(api_server: str) -> dict[str, str]:
    """Return what is remembered for an API: `api_key` and `tenant_id`, as far as they are known."""
    table = _load().get(_section(api_server))
    if not isinstance(table, Mapping):
        return {}
    return {key: str(table[key]) for key in ("api_key", "tenant_id") if table.get(key)}


def save_auth(api_server: str, *, api_key: str | None, tenant_id: str | None) -> None:
    """Remember a key and a tenant for an API; None forgets.  Raises `OSError` if the file cannot be written."""
    tables = _load()
    values = {"api_key": api_key, "tenant_id": tenant_id}
    tables[_section(api_server)] = {key: value for key, value in values.items() if value is not None}
    text = _HEADER
    for name, table in tables.items():
        text += f"\n[{json.dumps(name)}]\n"
        # JSON's strings are TOML's basic strings.
        text += "".join(f"{json.dumps(key)} = {json.dumps(str(value))}\n" for key, value in table.items())
    path = auth_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".auth-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
