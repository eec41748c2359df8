"""Volume specifications of the Docker agent: `path`, `outer:inner` or `outer:inner:mode`.

An outer part that begins with none of `.`, `/` and `~` is the name of a volume.  A specification that is none raises
`AgentError`.
"""

import os
import posixpath
from collections.abc import Iterable
from dataclasses import dataclass

from flowstead_agent.errors import AgentError

__all__ = ["Volume", "parsed_volumes"]

_MOST_PARTS = 3
_MODES = frozenset({"rw", "ro"})


@dataclass(frozen=True, slots=True)
class Volume:
    """One mount: a directory of the host, or a volume by name."""

    outer: str
    inner: str
    mode: str
    is_named: bool

    @property
    def bind(self) -> str:
        """The mount as Docker's host config has it."""
        return f"{self.outer}:{self.inner}:{self.mode}"


def parsed_volumes(specifications: Iterable[str]) -> list[Volume]:
    """Return the mounts that the specifications mean, in their order.  Raises `AgentError`."""
    return [_parsed(specification) for specification in specifications]


def _parsed(specification: str) -> Volume:
    parts = [part.strip() for part in specification.split(":")]
    if len(parts) > _MOST_PARTS or not all(parts):
        raise AgentError(f"Docker volume format is invalid: {specification!r} (should be 'external:internal[:mode]').")
    outer, inner = parts[0], parts[1] if len(parts) > 1 else parts[0]
    mode = parts[2] if len(parts) == _MOST_PARTS else "rw"
    is_named = not outer.startswith((".", "/", "~"))
    if is_named and len(parts) == 1:
        raise AgentError(f"The Docker volume {specification!r} has a name but no path inside the container.")
    if mode not in _MODES or (is_named and mode != "rw"):
        raise AgentError(f"The Docker volume {specification!r} cannot have the mode {mode!r}.")
    if not is_named:
        # the engine takes absolute paths only
        outer = os.path.abspath(os.path.expanduser(outer))  # noqa: PTH100, PTH111 - strings, not paths
    return Volume(outer, posixpath.normpath(inner), mode, is_named)
