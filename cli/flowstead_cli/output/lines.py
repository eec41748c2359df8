"""Lines, steps and the bar at the end of a command's output.

Colour is dropped when standard output is no terminal or NO_COLOR is set.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

__all__ = ["GREEN", "RED", "YELLOW", "colour", "item", "say", "step", "summary"]

GREEN, YELLOW, RED = "32", "33", "31"
TREE = "└── "


def colour(text: str, code: str | None, stream: TextIO | None = None) -> str:
    """Return the text in a colour (an SGR code such as `31`), if the stream (standard output) shows colours."""
    if code is None or "NO_COLOR" in os.environ or not (stream or sys.stdout).isatty():
        return text
    return f"\x1b[{code}m{text}\x1b[0m"


def say(text: str = "", code: str | None = None, *, end: str = "\n", stream: TextIO | None = None) -> None:
    """Print a line now, to standard output unless told otherwise."""
    print(colour(text, code, stream), end=end, file=stream, flush=True)


def item(text: str) -> None:
    """Print one line of a tree."""
    say(f"{TREE}{text}")


@contextmanager
def step(text: str, *, quiet: bool = False) -> Iterator[None]:
    """Print what is being done, and on the same line ` Done`, or ` Error` when the block raises."""
    if quiet:
        yield
        return
    say(text, end="")
    try:
        yield
    except BaseException as error:
        say(" Error" if isinstance(error, Exception) else "", RED)
        raise
    say(" Done", GREEN)


def summary(*counts: tuple[int, str, str | None]) -> str:
    """Return counts centred between two bars of `=`: the first always, the others if they are not zero.

    Args:
        counts: number, word and colour of each.
    """
    first, *others = counts
    shown = [first, *(count for count in others if count[0])]
    plain = ", ".join(f"{number} {word}" for number, word, _ in shown)
    text = ", ".join(colour(f"{number} {word}", code) for number, word, code in shown)
    bar = "=" * (max(60 - len(plain), 4) // 2)
    return f"{bar} {text} {bar}"
