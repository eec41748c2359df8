"""The processes that a process has started, and those that these have started: what has to go with it.

They are known by their creation time as well as by their number, so that a number which the system has given to
somebody else meanwhile is nobody's here.  A process that cannot be looked at or signalled is left out.
"""

import contextlib
import os
import time

import psutil  # type: ignore[import-untyped] # its types are a package of their own

__all__ = ["Family"]

_LOOK_SECONDS = 0.1
_KILL_SECONDS = 1.0


class Family:
    """The descendants of a process, and what is in its session, at one moment."""

    def __init__(self, leader: int, members: list[psutil.Process]) -> None:
        self._leader = leader
        self._members = members

    @classmethod
    def of(cls, pid: int) -> "Family":
        """Return the family of a process that leads its own session; blocks for some milliseconds."""
        members: dict[int, psutil.Process] = {}
        with contextlib.suppress(psutil.Error):
            # those that left the session
            members.update({child.pid: child for child in psutil.Process(pid).children(recursive=True)})
        for process in psutil.process_iter():
            # those whose parent has ended
            with contextlib.suppress(OSError, psutil.Error):
                if process.pid != pid and os.getsid(process.pid) == pid:
                    members[process.pid] = process
        return cls(pid, list(members.values()))

    @property
    def size(self) -> int:
        """How many there are, without the leader."""
        return len(self._members)

    def terminate_strays(self) -> None:
        """Send SIGTERM to those that are not in the leader's process group."""
        for process in self._members:
            with contextlib.suppress(OSError, psutil.Error):
                if os.getpgid(process.pid) != self._leader:
                    process.terminate()

    def end(self, grace_seconds: float) -> int:
        """Wait for their end, kill those that live on; blocks.  Returns how many were killed."""
        alive = self._alive_after(grace_seconds)
        for process in alive:
            with contextlib.suppress(psutil.Error):
                process.kill()
        self._alive_after(_KILL_SECONDS)
        return len(alive)

    def _alive_after(self, seconds: float) -> list[psutil.Process]:
        deadline = time.monotonic() + seconds
        alive = self._members
        while alive := [process for process in alive if _lives(process)]:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            psutil.wait_procs(alive, timeout=min(left, _LOOK_SECONDS))
        return alive


def _lives(process: psutil.Process) -> bool:
    try:
        # One whose parent does not ask for it is there for ever, but dead.
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
