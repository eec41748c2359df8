"""Flow runs whose states go to an API: time and requests per no-op task run, against a server on the same machine."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

from report import Row
from stack import Stack

SCRIPT = Path(__file__).with_name("backend_run.py")
SHAPES = (("chain", 200), ("map", 1000))
TARGET_MS = 5.0


async def measure(stack: Stack) -> list[Row]:
    """The second of two runs of each shape, in processes of their own."""
    rows = []
    for shape, number in SHAPES:
        for _ in range(2):
            before = stack.serving_cpu()
            taken = await asyncio.to_thread(_run, stack, shape, number)
        server = (stack.serving_cpu() - before) / number * 1000
        each = taken["seconds"] / number * 1000
        requests = taken["requests"]
        logs = requests.pop("write_run_logs", 0)
        per_task = sum(requests.values()) / number
        detail = ", ".join(f"{count} {name}" for name, count in sorted(requests.items(), key=lambda one: -one[1])[:4])
        rows.append(
            Row(
                f"{shape} of {number} no-op tasks, backend, per task",
                f"{each:.1f} ms",
                f"< {TARGET_MS:.0f} ms",
                f"{per_task:.2f} requests per task run ({detail}; {logs} of logs); processor time "
                f"{taken['cpu'] / number * 1000:.1f} ms here, {server:.1f} ms server and PostgreSQL",
                each < TARGET_MS,
            )
        )
    return rows


def _run(stack: Stack, shape: str, number: int) -> dict:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), shape, str(number)],
        env=stack.environment,
        cwd=stack.home,
        check=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stderr.splitlines()[-1])
