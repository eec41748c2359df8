"""Read files by path or URL: `file:`, `http:`, `https:`, `s3:` and `gcs:` (or `gs:`).

Raises `ValueError` for another scheme, `OSError` for what cannot be read, and `ImportError` that names the extra for an
object store whose library is not installed.
"""

import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname

__all__ = ["ParsedPath", "parse_path", "read_bytes_from_path"]

_TIMEOUT = 30.0
_DRIVE = re.compile(r"^[a-zA-Z]:[\\/]")


class ParsedPath(NamedTuple):
    """A path or URL in parts; the scheme of a plain path is "file"."""

    scheme: str
    netloc: str
    path: str


def parse_path(path: str) -> ParsedPath:
    """Return the parts of a path or URL."""
    parts = urlsplit(path)
    if not parts.scheme or _DRIVE.match(path):
        return ParsedPath("file", "", path)
    if parts.scheme == "file":
        return ParsedPath("file", parts.netloc, url2pathname(parts.path))
    return ParsedPath(parts.scheme, parts.netloc, parts.path)


def read_bytes_from_path(path: str) -> bytes:
    """Return the contents of a file."""
    parts = parse_path(path)
    if parts.scheme == "file":
        return Path(parts.path).expanduser().read_bytes()
    if parts.scheme in {"http", "https"}:
        return _downloaded(path)
    from prefect.utilities import object_stores  # noqa: PLC0415 - they need extras

    key = parts.path.lstrip("/")
    if parts.scheme == "s3":
        return object_stores.S3Objects(parts.netloc).read(key)
    if parts.scheme in {"gs", "gcs"}:
        return object_stores.GoogleObjects(parts.netloc).read(key)
    raise ValueError(f"{path!r} cannot be read: its scheme is {parts.scheme!r}, not file, http, https, s3 or gcs.")


def _downloaded(url: str) -> bytes:
    from prefect.client import lean_httpx  # noqa: F401, PLC0415 - before httpx, which takes a while to load

    import httpx  # noqa: PLC0415 - as above # isort: skip

    try:
        answer = httpx.get(url, timeout=_TIMEOUT, follow_redirects=True)
    except (httpx.TransportError, httpx.InvalidURL) as error:
        raise OSError(f"{url} cannot be read: {error}") from error
    if not answer.is_success:
        raise OSError(f"{url} cannot be read: it answers with HTTP status {answer.status_code}.")
    return answer.content
