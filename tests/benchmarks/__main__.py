"""Run the benchmarks: `python tests/benchmarks [name …]`, all of them without names.

Each prints its figures beside their targets and beside a baseline or peer of the same run. Exit code 0 also when a
target is missed: figures of a shared machine are for reading; `--strict` makes a missed target exit code 1.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable

import backend
import claims
import creates
import engine
import fleet
import hooks
import latency
import logs
import queries
import retention
import schedules
import shapes
import startup
import watching
from report import Row, show
from stack import Stack, running_stack

BENCHMARKS: dict[str, Callable[[Stack], Awaitable[list[Row]]]] = {
    "creates": creates.measure,
    "queries": queries.measure,
    "shapes": shapes.measure,
    "latency": latency.measure,
    "watching": watching.measure,
    "fleet": fleet.measure,
    "logs": logs.measure,
    "claims": claims.measure,
    "schedules": schedules.measure,
    "retention": retention.measure,
    "hooks": hooks.measure,
    "backend": backend.measure,
    "startup": startup.measure,
}
# What needs no server.
ALONE: dict[str, Callable[[], list[Row]]] = {"engine": engine.measure}


def main(arguments: list[str]) -> int:
    """Run what was asked for; the exit code."""
    strict = "--strict" in arguments
    names = [one for one in arguments if one != "--strict"] or [*BENCHMARKS, *ALONE]
    if unknown := [one for one in names if one not in {*BENCHMARKS, *ALONE}]:
        print(f"Unknown benchmark {unknown[0]!r}; there are: {', '.join([*BENCHMARKS, *ALONE])}.", file=sys.stderr)
        return 2
    rows: list[Row] = []
    for name in names:
        print(f"… {name}", file=sys.stderr, flush=True)
        if name in ALONE:
            rows += ALONE[name]()
            continue
        with running_stack() as stack:
            rows += asyncio.run(BENCHMARKS[name](stack))
    show(rows)
    return 1 if strict and any(row.reached is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
