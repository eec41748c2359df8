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
from typing import TYPE_CHECKING, Any, Protocol, Self, TextIO, cast

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.text import Text

__all__ = [
    "FINISHED_STATES",
    "Line",
    "PlainScreen",
    "Progress",
    "Screen",
    "TaskRun",
    "TerminalScreen",
    "for_this_output",
    "format_line",
    "open_screen",
    "ticking",
    "without_controls",
]

_NUMBERS = {"CRITICAL": 50, "ERROR": 40, "WARNING": 30, "INFO": 20, "DEBUG": 10}
FINISHED_STATES = frozenset(
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
        "Finished",
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
class TaskRun:
    """The last state of a task run."""

    id: str
    name: str
    map_index: int
    state: str
    message: str | None = None

    @property
    def label(self) -> str:
        """Its name, with its place among mapped children."""
        place = f"[{self.map_index}]"
        return self.name if self.map_index < 0 or self.name.endswith(place) else f"{self.name}{place}"


@dataclass(slots=True)
class Progress:
    """What is known about the run: its state, and the state of each task run that was seen."""

    state: str = "Scheduled"
    task_runs: dict[str, TaskRun] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)
    note: str = ""
    waits_for: str = ""

    @property
    def finished_tasks(self) -> int:
        """How many task runs are in a finished state."""
        return sum(run.state in FINISHED_STATES for run in self.task_runs.values())

    @property
    def elapsed(self) -> int:
        """Whole seconds since watching began."""
        return int(time.monotonic() - self.started)

    def __str__(self) -> str:
        minutes, seconds = divmod(self.elapsed, 60)
        hours, minutes = divmod(minutes, 60)
        clock = f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
        tasks = f"{self.finished_tasks}/{len(self.task_runs)} task runs" if self.task_runs else ""
        return " · ".join(part for part in (self.state, clock, tasks, self.note or self.waits_for) if part)


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
    """Lines only, for pipes and files; `stream` defaults to standard output."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stdout if stream is None else stream

    def write(self, lines: list[Line]) -> None:
        """Write the lines and flush, so that a reader sees them now."""
        self._stream.write("".join(f"{format_line(line)}\n" for line in lines))
        self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return


def without_controls(text: str) -> str:
    """Return a text that cannot steer the terminal, whatever a flow wrote into it."""
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(char if char in "\n\t" or char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def for_this_output(text: str | None) -> str:
    """Return a text as standard output gets it: without control characters if that is a terminal."""
    return without_controls(text or "") if sys.stdout.isatty() else text or ""


class _StatusLine:
    """Draws the progress as it is at that moment, whoever asks for a redraw; one line, cut where the terminal ends."""

    def __init__(self, progress: Progress) -> None:
        from rich.spinner import Spinner

        self._progress = progress
        self._spinner = Spinner("dots", style="cyan")

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        from rich.text import Text

        frame = self._spinner.render(console.get_time())
        text = without_controls(str(self._progress))
        yield Text.assemble(cast("Text", frame), " ", text, no_wrap=True, overflow="ellipsis")


class TerminalScreen:
    """Coloured lines above a status line that is redrawn while the run goes on."""

    def __init__(self, progress: Progress, stream: TextIO | None = None) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(file=stream, highlight=False)
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
            shown = without_controls(format_line(line))
            text.append(shown if index == 0 else f"\n{shown}", line.style)
        self._console.print(text, soft_wrap=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()


def open_screen(progress: Progress, stream: TextIO | None = None) -> Screen:
    """Return the screen that fits a stream, by default standard output."""
    stream = sys.stdout if stream is None else stream
    return TerminalScreen(progress, stream) if stream.isatty() else PlainScreen(stream)


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
