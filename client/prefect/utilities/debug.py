"""Find out what goes wrong in a flow."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import cloudpickle  # type: ignore[import-untyped]  # it has no type hints

from prefect.utilities.context import context

__all__ = ["is_serializable", "raise_on_exception"]

_LOAD = "import sys, cloudpickle; cloudpickle.loads(sys.stdin.buffer.read())"


@contextlib.contextmanager
def raise_on_exception() -> Iterator[None]:
    """Let exceptions of tasks, triggers and state handlers out of `flow.run()` in the block."""
    with context(raise_on_exception=True):
        yield


def is_serializable(obj: Any, raise_on_error: bool = False) -> bool:
    """Return whether an object can be pickled here and loaded in a fresh interpreter.

    With `raise_on_error`, raises what pickling raised, or `subprocess.CalledProcessError` if loading failed.
    """
    if sys.platform == "win32":
        raise OSError("is_serializable is not supported on Windows.")
    try:
        pickled = cloudpickle.dumps(obj)
        subprocess.run(  # noqa: S603 - our own interpreter and code
            [sys.executable, "-c", _LOAD], input=pickled, check=True, capture_output=True
        )
    except Exception:
        if raise_on_error:
            raise
        return False
    return True
