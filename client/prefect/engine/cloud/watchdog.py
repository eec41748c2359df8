"""A process that beats for a flow run's process while that cannot: `python -I -S watchdog.py`, and nothing imported.

The first line of standard input says, as JSON, what to send: `parent` (the process), `after` and `interval`
(seconds), `timeout`, `url`, `headers`, `body` and `cafile`.  Each further byte says that the parent's own thread is
at work.  After `after` seconds without one, because code that holds the interpreter lets no thread run, the beat is
sent from here, and then every `interval`, until there is another byte.  A parent that is stopped, or has ended, gets
none: it does nothing either.  A request that fails is forgotten, and the next one tried.

Ends with the end of the input (0), with the parent (0), or when the API refuses beats of this claim (3).
"""

import os
import select
import sys

__all__ = ["REFUSED"]

REFUSED = 3
_LINE_BYTES = 1 << 20


def _is_at_work(pid: int) -> bool:
    """Say whether a process neither ended nor was stopped; where that cannot be known, it counts as at work."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:  # noqa: PTH123 - pathlib would cost more memory than all else
            return stat.read().rpartition(b")")[2].split()[0] not in {b"T", b"Z", b"X"}
    except FileNotFoundError:
        return not os.path.exists("/proc/self/stat") and _state_of(pid) not in {"T", "Z"}  # noqa: PTH110 - as above
    except OSError:
        return True


def _state_of(pid: int) -> str:
    if sys.platform == "win32":
        return ""
    with os.popen(f"ps -o state= -p {pid}") as answer:  # noqa: S605 - a number
        return answer.read(1)


def _unmoved():  # type: ignore[no-untyped-def] # a type that is not loaded yet
    """Return what follows no redirect: the key of the API is for nobody else, and no other request goes elsewhere."""
    import urllib.request  # noqa: PLC0415

    class Unmoved(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            return None

    return Unmoved()


def _beat(order: dict) -> bool:  # type: ignore[type-arg] # what JSON gives
    """Send a beat; returns False if the API refuses it."""
    # Loaded when it is needed, which it hardly ever is.
    import json  # noqa: PLC0415
    import urllib.request  # noqa: PLC0415

    try:
        request = urllib.request.Request(order["url"], order["body"].encode(), order["headers"])  # noqa: S310 - the API's
        handlers = [_unmoved()]
        if order["url"].startswith("https:"):
            import ssl  # noqa: PLC0415

            context = ssl.create_default_context(cafile=order["cafile"])
            handlers.append(urllib.request.HTTPSHandler(context=context))
        with urllib.request.build_opener(*handlers).open(request, timeout=order["timeout"]) as answer:
            errors = json.load(answer).get("errors") or ()
        return not any((one.get("extensions") or {}).get("code") == "VERSION_LOCKING_ERROR" for one in errors)
    except Exception:
        return True


def main() -> int:
    """Watch until there is nothing to watch; returns the exit code."""
    import json  # noqa: PLC0415 - as above
    import signal  # noqa: PLC0415 - as above

    # What ends the parent ends this by the end of the input; what the parent survives is not to end this.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)

    line = b""
    while b"\n" not in line:
        part = os.read(0, _LINE_BYTES)
        if not part:
            return 0
        line += part
    order = json.loads(line[: line.index(b"\n")])
    patience = order["after"]
    while True:
        ready, _, _ = select.select([0], [], [], patience)
        if ready:
            if not os.read(0, _LINE_BYTES):
                return 0
            patience = order["after"]
            continue
        # Somebody may have inherited the other end of the input.
        if os.getppid() != order["parent"]:
            return 0
        patience = order["interval"]
        if _is_at_work(order["parent"]) and not _beat(order):
            return REFUSED


if __name__ == "__main__":
    sys.exit(main())
