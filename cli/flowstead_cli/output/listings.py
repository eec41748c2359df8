"""Listings and documents: the same rows as a table for people, or as JSON or YAML for programs.

JSON and YAML carry values as the API gave them (moments in ISO 8601, lists as lists); a table shows them shortened.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from enum import StrEnum
from typing import Annotated, Any

import typer

from flowstead_cli.output.lines import say
from flowstead_cli.output.tables import age, as_datetime, render_table

__all__ = ["Column", "Format", "Output", "ago", "as_json", "as_yaml", "second", "show"]


class Format(StrEnum):
    """How a listing is printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


Output = Annotated[Format, typer.Option("--output", "-o", help="How to print the listing.")]


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its header in tables, its key in JSON and YAML, and how a table shows a value."""

    header: str
    key: str
    shown: Callable[[Any], Any] = lambda value: value


def ago(header: str, key: str) -> Column:
    """Return a column of moments that a table shows as ages."""
    return Column(header, key, age)


def second(value: Any) -> str:
    """Return a moment to the second, as tables show it; the empty string for None."""
    moment = as_datetime(value)
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def as_json(value: Any, *, sort_keys: bool = False) -> str:
    """Return a value as indented JSON; answers of the API become objects, moments ISO text."""
    return json.dumps(value, indent=2, default=_plain, sort_keys=sort_keys, ensure_ascii=False)


def as_yaml(value: Any, *, sort_keys: bool = False) -> str:
    """Return a value as YAML, in the same terms as `as_json`, without a line break at its end."""
    import yaml

    plain = json.loads(json.dumps(value, default=_plain))
    return yaml.safe_dump(plain, sort_keys=sort_keys, allow_unicode=True, width=100).rstrip("\n")


def show(columns: Sequence[Column], rows: Iterable[Sequence[Any]], output: Format) -> None:
    """Print rows of values, one for each column; no rows are an empty list, or a table of headers."""
    if output is Format.TABLE:
        cells = [[column.shown(value) for column, value in zip(columns, row, strict=True)] for row in rows]
        say(render_table([column.header for column in columns], cells))
        return
    objects = [{column.key: value for column, value in zip(columns, row, strict=True)} for row in rows]
    say(as_json(objects) if output is Format.JSON else as_yaml(objects))
