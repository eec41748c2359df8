"""What came of it, as a table for the terminal and as lines of the table in docs/reliability.md."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass

from checker import CHECKS, Violation, executions
from history import History
from rich.console import Console
from rich.table import Table

FENCED = "whose claim"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run of the fault test; `seconds` it took, `faults` by kind, `violations` found by the checker."""

    seed: int
    seconds: float
    faults: dict[str, int]
    history: History
    violations: list[Violation]

    def figures(self) -> dict[str, str]:
        """What happened to the runs."""
        runs = self.history.runs.values()
        states = Counter(run.state for run in runs)
        lines = [event for run in runs for event in run.of("log")]
        reclaimed = sum(max(0, len(executions(run)) - 1) for run in runs)
        return {
            "runs": f"{len(runs):,}",
            "by their end": ", ".join(f"{count:,} {state}" for state, count in states.most_common()),
            "acknowledged creates / log lines": f"{len(self.history.created):,} / {len(self.history.lines):,}",
            "executions after a first one": f"{reclaimed:,}",
            "writes refused because their claim had ended": f"{sum(FENCED in line.text for line in lines):,}",
        }

    def row(self) -> str:
        """The outcome as a row of the table in the documentation."""
        runs = self.history.runs.values()
        states = Counter(run.state for run in runs)
        ends = " / ".join(f"{states[name]:,}" for name in ("Success", "Failed", "Cancelled"))
        found = len(self.violations)
        minutes = f"{self.seconds / 60:.1f}"
        refused = self.figures()["writes refused because their claim had ended"]
        return (
            f"| {self.seed} | {minutes} | {len(runs):,} | {ends} | {sum(self.faults.values())} | {refused} | {found} |"
        )


def show(outcome: Outcome) -> None:
    """Print everything about one run of the test."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    table = Table(title=f"Fault test, seed {outcome.seed}, {outcome.seconds:.0f} s", title_justify="left")
    table.add_column("what")
    table.add_column("figure", overflow="fold")
    for name, figure in outcome.figures().items():
        table.add_row(name, figure)
    table.add_section()
    for kind, count in outcome.faults.items():
        table.add_row(kind, str(count))
    table.add_section()
    for name, rule in CHECKS.items():
        found = len(list(rule(outcome.history)))
        table.add_row(name, "[green]kept[/]" if found == 0 else f"[red]{found} violations[/]")
    console.print(table)
    for violation in outcome.violations[:20]:
        console.print(str(violation), style="red", markup=False)
