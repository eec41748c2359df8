"""Asks for the addresses of names without blocking, and without letting a name that is never answered hold up others.

The system's resolver cannot be interrupted and may take half a minute. Each name has at most one thread at work,
however many ask for it; the threads end with the process.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress
from typing import Final

_MOST_AT_ONCE: Final = 64


class Lookups:
    """Looks up names for one event loop."""

    def __init__(self) -> None:
        self._under_way: dict[tuple[str, int], asyncio.Future[list[str]]] = {}

    async def addresses(self, host: str, port: int) -> list[str]:
        """Return the numeric addresses of a host, the best first. Raises OSError (unknown, or too many at work)."""
        key = (host, port)
        if (found := self._under_way.get(key)) is None:
            if len(self._under_way) >= _MOST_AT_ONCE:
                raise OSError(f"{_MOST_AT_ONCE} other names are being looked up")
            found = self._start(key)
        return await asyncio.shield(found)

    def _start(self, key: tuple[str, int]) -> asyncio.Future[list[str]]:
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[str]] = loop.create_future()
        # an answer that nobody waits for any more is no mistake
        found.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._under_way[key] = found

        def finish(addresses: list[str], error: OSError | None) -> None:
            del self._under_way[key]
            if found.cancelled():
                return
            if error is None:
                found.set_result(addresses)
            else:
                found.set_exception(error)

        def look_up() -> None:
            addresses: list[str] = []
            failure: OSError | None = None
            try:
                infos = socket.getaddrinfo(*key, type=socket.SOCK_STREAM)
                addresses = list(dict.fromkeys(str(info[4][0]) for info in infos))
            except OSError as error:
                failure = error
            except UnicodeError as error:
                failure = OSError(str(error))
            # the loop may have ended meanwhile
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(finish, addresses, failure)

        threading.Thread(target=look_up, name=f"look up {key[0][:80]}", daemon=True).start()
        return found
