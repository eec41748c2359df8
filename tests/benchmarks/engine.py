"""The engine alone: time per task and memory, beside the unmodified prefect 1.4.1 in an environment of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from report import Row

SCRIPT = Path(__file__).with_name("engine_run.py")
sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from peer_141 import python_of_141  # noqa: E402 - found in the folder of the tests' helpers

# Half of what the values of the pipeline would take together; scheduler, worker and client are counted.
MEMORY_LIMIT = 500


def measure() -> list[Row]:
    """Ours and theirs one after the other; theirs once, for it takes a minute."""
    old_python = python_of_141()
    with tempfile.TemporaryDirectory() as home:
        ours = _run(sys.executable, home, "times", 1_000, 3)
        old = _run(old_python, home, "times", 1_000, 1)
        many = _run(sys.executable, home, "times", 10_000, 1)
        rows = [
            _times("no-op task, chain of 1,000", ours["chain"], old["chain"], 20),
            _times("no-op task, map over 1,000", ours["map"], old["map"], 20),
            _linear("no-op task, chain of 10,000", many["chain"], ours["chain"]),
            _linear("no-op task, map over 10,000", many["map"], ours["map"]),
            _times("build a flow of 1,000, per task", ours["build"], old["build"], 2),
            _times("serialize a flow of 1,000, per task", ours["serialize"], old["serialize"], 3),
            _times("import prefect", _import(sys.executable, home), _import(old_python, home), 8),
            _memory("map over 10,000, LocalExecutor, memory", _run(sys.executable, home, "local", 10_000, 1)),
        ]
        wide = _run(sys.executable, home, "dask", 10_000, 1)
        rows.append(_memory("10,000 values of 100 KiB mapped over twice, DaskExecutor, memory", wide))
    return rows


def _run(python: str, home: str, *arguments: object) -> dict[str, float]:
    command = [python, "-W", "ignore", str(SCRIPT), *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=_environment(home), cwd=home)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def _import(python: str, home: str) -> float:
    code = "import time; before = time.perf_counter(); import prefect; print(time.perf_counter() - before)"
    command = [python, "-W", "ignore", "-c", code]
    taken = []
    for _ in range(7):
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=_environment(home), cwd=home)
        taken.append(float(done.stdout))
    return min(taken)


def _environment(home: str) -> dict[str, str]:
    return {"HOME": home, "PATH": "/usr/bin:/bin", "PREFECT__BACKEND": "server"}


def _times(what: str, ours: float, old: float, factor: int) -> Row:
    return Row(
        what,
        f"{ours * 1000:.3f} ms",
        f"≤ 1/{factor} of 1.4.1",
        f"1.4.1: {old * 1000:.3f} ms, {old / ours:.0f} times as long",
        ours * factor <= old,
    )


def _linear(what: str, many: float, few: float) -> Row:
    compared = f"{many / few:.2f} × of 1,000"
    return Row(what, f"{many * 1000:.3f} ms", "≤ 1.3 × of 1,000", compared, many <= 1.3 * few)


def _memory(what: str, figures: dict[str, float]) -> Row:
    peak = figures["peak"]
    compared = f"in {figures['seconds']:.0f} s"
    return Row(what, f"{peak:.0f} MiB", f"< {MEMORY_LIMIT} MiB", compared, peak < MEMORY_LIMIT)
