"""Following the log of a flow run: each line once and in its order, until the run is finished.

Standard output gets the lines and nothing else; what happens to the connection, and why the run waits, goes to standard
error.  Ctrl-C leaves the run alone.
"""

import json
import sys
from typing import TYPE_CHECKING

import typer

from flowstead_cli.output.tail import Line, PlainScreen, Progress, for_this_output, now, ticking
from flowstead_cli.waiting import WaitReasons
from flowstead_cli.watching import how_to_cancel, lines_of

if TYPE_CHECKING:
    from prefect._generated.types import EventPage, RunEvent
    from prefect.client.session import Session

__all__ = ["follow_log"]

# As wide as a moment with microseconds and its zone.
_ROW = "{:<32}  {:<8}  {}\n"


def follow_log(session: "Session", flow_run_id: str, *, as_json: bool = False) -> None:
    """Print the log of a run as it is written; as JSON, each line is one object.

    Raises:
        typer.Abort: the user had enough.
        prefect.exceptions.ClientError: the API does not know the run, or cannot be reached for good.
    """
    from prefect.client.live import Reconnecting, follow_flow_run

    progress = Progress()
    aside = PlainScreen(sys.stderr)
    reasons = WaitReasons(session, flow_run_id)
    if not as_json:
        sys.stdout.write(_ROW.format("TIMESTAMP", "LEVEL", "MESSAGE"))
        sys.stdout.flush()
    try:
        for page in ticking(lambda: follow_flow_run(session, flow_run_id)):
            if page is None:
                reasons.tick(progress, aside)
            elif isinstance(page, Reconnecting):
                aside.write([Line(now(), "WARNING", f"Lost the connection to the API ({page}); reconnecting.")])
            else:
                _print(page, as_json=as_json)
                list(lines_of(page, progress, logs=False))
    except KeyboardInterrupt:
        print(f"\n{how_to_cancel(flow_run_id)}", file=sys.stderr)
        raise typer.Abort from None


def _print(page: "EventPage", *, as_json: bool) -> None:
    row = _json_row if as_json else _table_row
    text = "".join(row(event) for event in page.events if event.kind == "LOG")
    if text:
        sys.stdout.write(text)
        sys.stdout.flush()


def _table_row(event: "RunEvent") -> str:
    # A line break inside a row would break the table.
    message = for_this_output(" ".join((event.message or "").split("\n")))
    return _ROW.format(event.timestamp.isoformat(timespec="microseconds"), event.level or "", message)


def _json_row(event: "RunEvent") -> str:
    row = {"timestamp": event.timestamp.isoformat(), "level": event.level, "message": event.message}
    return f"{json.dumps(row, ensure_ascii=False)}\n"
