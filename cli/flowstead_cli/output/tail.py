"""The live tail of a flow run: its log lines and states as they happen, and a status line for a person at a terminal.

Events come from any iterator; a page of lines is written at once, so that a fast log costs little.  Without a
terminal only plain lines are written.  A closed pipe raises `BrokenPipeError`, which ends the command quietly.
"""

import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["Line", "PlainScreen", "Progress", "Screen", "TerminalScreen", "format_line", "open_screen", "ticking"]

_NUMBERS = {"CRITICAL": 50, "ERROR": 40, "WARNING": 30, "INFO": 20, "DEBUG": 10}
_FINISHED = frozenset(
    {
        "Success",
        "Failed",
        "TimedOut",
        "TriggerFailed",
        "ValidationFailed",
        "Skipped",
        "Cached",
        "Mapped",
        "Cancelled",
        "Looped",
    }
)
_SPINNER_FPS = 8


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the tail."""

    moment: datetime
    level: str
    message: str

    @property
    def style(self) -> str:
        """The rich style of the line's level."""
        number = _NUMBERS.get(self.level.upper())
        if number is None:
            digits = self.level.rpartition(" ")[2]
            number = int(digits) if digits.isdigit() else _NUMBERS["INFO"]
        if number >= _NUMBERS["ERROR"]:
            return "red"
        if number >= _NUMBERS["WARNING"]:
            return "yellow"
        return "dim" if number <= _NUMBERS["DEBUG"] else ""


@dataclass(slots=True)
class Progress:
    """What is known about the run: its state, and the state of each task run that was seen."""

    state: str = "Scheduled"
    task_states: dict[str, str] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)
    note: str = ""

    @property
    def finished_tasks(self) -> int:
        """How many task runs are in a finished state."""
        return sum(state in _FINISHED for state in self.task_states.values())

    @property
    def elapsed(self) -> int:
        """Whole seconds since watching began."""
        return int(time.monotonic() - self.started)

    def __str__(self) -> str:
        minutes, seconds = divmod(self.elapsed, 60)
        hours, minutes = divmod(minutes, 60)
        clock = f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
        tasks = f"{self.finished_tasks}/{len(self.task_states)} task runs" if self.task_states else ""
        return " · ".join(part for part in (self.state, clock, tasks, self.note) if part)


def format_line(line: Line) -> str:
    """Return a line as it is printed, its time in the local zone."""
    return f"└── {line.moment.astimezone():%H:%M:%S} | {line.level:<7} | {line.message}"


class Screen(Protocol):
    """Where the tail is shown."""

    def write(self, lines: list[Line]) -> None:
        """Show lines, in order."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class PlainScreen:
    """Lines only, for pipes and files."""

    def write(self, lines: list[Line]) -> None:
        """Write the lines and flush, so that a reader sees them now."""
        sys.stdout.write("".join(f"{format_line(line)}\n" for line in lines))
        sys.stdout.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return


class _StatusLine:
    """Draws the progress as it is at that moment, whoever asks for a redraw."""

    def __init__(self, progress: Progress) -> None:
        from rich.spinner import Spinner

        self._progress = progress
        self._spinner = Spinner("dots", style="cyan")

    def __rich__(self) -> "RenderableType":
        self._spinner.update(text=str(self._progress))
        return self._spinner


class TerminalScreen:
    """Coloured lines above a status line that is redrawn while the run goes on."""

    def __init__(self, progress: Progress) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(highlight=False)
        self._live = Live(
            _StatusLine(progress),
            console=self._console,
            refresh_per_second=_SPINNER_FPS,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def write(self, lines: list[Line]) -> None:
        """Print the lines above the status line, in one go."""
        from rich.text import Text

        text = Text()
        for index, line in enumerate(lines):
            # What a flow logs must not steer the terminal.
            shown = "".join(
                char if char in "\n\t" or char.isprintable() else "\N{REPLACEMENT CHARACTER}"
                for char in format_line(line)
            )
            text.append(shown if index == 0 else f"\n{shown}", line.style)
        self._console.print(text, soft_wrap=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()


def open_screen(progress: Progress) -> Screen:
    """Return the screen that fits standard output."""
    return TerminalScreen(progress) if sys.stdout.isatty() else PlainScreen()


class _End:
    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def ticking(source: Callable[[], Iterator[Any]], interval: float = 1.0) -> Iterator[Any]:
    """Yield what an iterator yields, and None whenever it was silent for `interval` seconds.

    The iterator is made and read in a thread of its own, so that a wait in it never delays a tick or Ctrl-C.  What it
    raises is raised here.
    """
    # Bounded: a slow terminal slows the reading down instead of filling the memory.
    items: queue.Queue[Any] = queue.Queue(maxsize=1000)

    def read() -> None:
        try:
            for value in source():
                items.put(value)
        except BaseException as error:
            items.put(_End(error))
        else:
            items.put(_End(None))

    threading.Thread(target=read, name="tail", daemon=True).start()
    while True:
        try:
            value = items.get(timeout=interval)
        except queue.Empty:
            yield None
            continue
        if isinstance(value, _End):
            if value.error is not None:
                raise value.error
            return
        yield value


def now() -> datetime:
    """Return this moment."""
    return datetime.now(UTC)
