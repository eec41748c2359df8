"""What a benchmark reports, and the table that shows it."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """One figure beside its target and what it is compared with in the same run.

    `reached` is None where a figure has no target of its own (a peer's figure, for example).
    """

    what: str
    figure: str
    target: str
    compared: str = ""
    reached: bool | None = None


def show(rows: list[Row]) -> None:
    """Print the rows as one table; without a terminal it is as wide as it needs to be."""
    table = Table(title="Figures of this run (a shared, noisy machine: compare the ratios)", title_justify="left")
    for heading in ("what", "figure", "target", "compared with, same run", ""):
        table.add_column(heading, overflow="fold")
    marks = {True: "[green]reached[/]", False: "[red]missed[/]", None: ""}
    for row in rows:
        table.add_row(row.what, row.figure, row.target, row.compared, marks[row.reached])
    Console(width=None if sys.stdout.isatty() else 170).print(table)
