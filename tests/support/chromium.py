"""A real headless Chromium for tests: the system's own, which may reach nothing but the server under test."""

import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page, Route, WebSocket, async_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Whatever the page's own network rules miss finds no address either.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


def chromium_path() -> str:
    """Return where Chromium is. Without one a test is skipped, but in continuous integration it fails."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        reason = f"No Chromium: none of {', '.join(_NAMES)} is on the PATH; `apt-get install chromium` brings one."
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@contextlib.asynccontextmanager
async def running_chromium() -> AsyncIterator[Browser]:
    """Start a browser."""
    path = chromium_path()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=_FLAGS)
        try:
            yield browser
        finally:
            await browser.close()


class Visit:
    """A page in a browser profile of its own, and all that went wrong or out of bounds in it."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.origin = urlsplit(url).netloc
        self.strangers: list[str] = []
        self.complaints: list[str] = []
        self.frames: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("websocket", self._socket)

    async def route(self, route: Route) -> None:
        """Let requests to the server pass, and no others."""
        if self._note(route.request.url):
            await route.continue_()
        else:
            await route.abort()

    def _note(self, url: str) -> bool:
        known = urlsplit(url).netloc == self.origin
        if not known:
            self.strangers.append(url)
        return known

    def _socket(self, socket: WebSocket) -> None:
        self._note(socket.url)
        socket.on("framesent", lambda frame: self.frames.append(str(frame)))

    def _console(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)


@contextlib.asynccontextmanager
async def visiting(browser: Browser, url: str, **options: Any) -> AsyncIterator[Visit]:
    """Open a page in a new profile; nothing may have complained or asked another host in the end."""
    context = await browser.new_context(viewport={"width": 1360, "height": 850}, **options)
    try:
        visit = Visit(await context.new_page(), url)
        await context.route("**/*", visit.route)
        await visit.page.goto(url)
        yield visit
        assert visit.strangers == []
        assert visit.complaints == []
    finally:
        await context.close()
