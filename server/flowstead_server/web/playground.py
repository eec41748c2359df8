"""The playground: GraphiQL for browsers, served from files that `make ui` builds from `server/ui`.

The files are read once, when the server starts, and found by their exact names: no part of a request ever reaches the
file system. Programs that do not ask for HTML never see it. The page may talk to this server and to nothing else; its
Content-Security-Policy makes browsers insist on that.
"""

import asyncio
import gzip
import hashlib
from functools import cache
from pathlib import Path
from typing import Self

from starlette.types import Scope, Send

_FOLDER = Path(__file__).parent.parent / "ui"
_PAGE_PATHS = ("/", "/graphql", "/graphql/")
_TYPES = {
    ".css": b"text/css; charset=utf-8",
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
}
_OK = 200
_NOT_MODIFIED = 304
_GZIP_LEVEL = 6

_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = [
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]


class Asset:
    """One file, as browsers get it: its bytes, and the headers that never change."""

    def __init__(self, body: bytes, suffix: str, *, immutable: bool) -> None:
        """Take the content. `immutable` files have a digest in their name, so a changed one has another name."""
        self.body = body
        self.content_type = _TYPES[suffix]
        self.etag = hashlib.sha256(body).hexdigest()[:32]
        self.cache_control = b"public, max-age=31536000, immutable" if immutable else b"no-cache"
        self.vary = b"accept-encoding" if immutable else b"accept, accept-encoding"
        self._compressed: bytes | None = None

    async def compressed(self) -> bytes:
        """Return the content in gzip, made at the first request for it."""
        if self._compressed is None:
            self._compressed = await asyncio.to_thread(gzip.compress, self.body, _GZIP_LEVEL, mtime=0)
        return self._compressed


class Playground:
    """The page and its files."""

    def __init__(self, page: bytes, files: dict[str, bytes]) -> None:
        """Take the page, and the files beside it by name relative to it (`assets/…`)."""
        self._page = Asset(page, ".html", immutable=False)
        self._assets = {
            prefix + name: Asset(body, Path(name).suffix, immutable=True)
            for name, body in files.items()
            for prefix in ("/", "/graphql/")
        }

    @classmethod
    def load(cls, folder: Path = _FOLDER) -> Self:
        """Read the built files.

        Raises:
            OSError: they are not there, which no whole installation meets.
        """
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted((folder / "assets").iterdir())
            if path.suffix in _TYPES
        }
        return cls((folder / "index.html").read_bytes(), files)

    def find(self, scope: Scope) -> Asset | None:
        """Return what a GET or HEAD request gets from the playground; None if that is not its business."""
        path = scope["path"]
        if path in _PAGE_PATHS:
            return self._page if b"text/html" in _header(scope, b"accept").lower() else None
        return self._assets.get(path)


@cache
def built_playground() -> Playground:
    """Return the playground of this installation, which is read once.

    Raises:
        OSError: the built files are not there.
    """
    return Playground.load()


async def send_asset(scope: Scope, send: Send, asset: Asset) -> None:
    """Answer a GET or HEAD request with a file: whole, compressed, or that the browser has it already."""
    zipped = _accepts_gzip(_header(scope, b"accept-encoding"))
    headers = [
        *_HEADERS,
        (b"etag", f'"{asset.etag}-gzip"'.encode() if zipped else f'"{asset.etag}"'.encode()),
        (b"cache-control", asset.cache_control),
        (b"vary", asset.vary),
    ]
    if _has(_header(scope, b"if-none-match").decode("latin-1"), asset.etag):
        await _send(send, _NOT_MODIFIED, headers, b"")
        return
    body = await asset.compressed() if zipped else asset.body
    headers += [(b"content-type", asset.content_type), (b"content-length", b"%d" % len(body))]
    if zipped:
        headers.append((b"content-encoding", b"gzip"))
    await _send(send, _OK, headers, b"" if scope["method"] == "HEAD" else body)


async def _send(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _header(scope: Scope, name: bytes) -> bytes:
    return b", ".join(value for key, value in scope["headers"] if key == name)


def _accepts_gzip(accept: bytes) -> bool:
    for item in accept.lower().split(b","):
        coding, _, weight = item.partition(b";")
        if coding.strip() == b"gzip":
            return weight.replace(b" ", b"").removeprefix(b"q=").strip(b"0.") != b"" if weight else True
    return False


def _has(if_none_match: str, etag: str) -> bool:
    tags = [tag.strip().removeprefix("W/").strip('"').removesuffix("-gzip") for tag in if_none_match.split(",")]
    return etag in tags or "*" in tags
