"""Start-up times of commands and of the server, and what an idle stack keeps in memory."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

import psutil
from report import Row
from stack import Stack, start_server

ROUNDS = 9
MIB = 1024 * 1024


async def measure(stack: Stack) -> list[Row]:
    """Whole processes, medians."""
    prefect = str(Path(sys.executable).with_name("prefect"))
    bare = _seconds([sys.executable, "-c", "pass"])
    rows = []
    for what, command, limit in (
        ("import prefect", [sys.executable, "-c", "import prefect"], 0.12),
        ("prefect --help", [prefect, "--help"], 0.2),
        ("prefect run --help", [prefect, "run", "--help"], 0.2),
    ):
        seconds = _seconds(command)
        rows.append(
            Row(
                what,
                f"{seconds * 1000:.0f} ms",
                f"< {limit * 1000:.0f} ms",
                f"bare python: {bare * 1000:.0f} ms",
                seconds < limit,
            )
        )
    agent = stack.agent()
    rows.append(_memory(stack, agent.resident()))
    stack.stop_agents()
    rows.append(_server_start(stack))
    return rows


def _seconds(command: list[str]) -> float:
    taken = []
    for _ in range(ROUNDS):
        before = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        taken.append(time.perf_counter() - before)
    return statistics.median(taken)


def _memory(stack: Stack, agent: int) -> Row:
    postmaster = psutil.Process(stack.postgres.pid)
    database = sum(one.memory_full_info().pss for one in [postmaster, *postmaster.children(recursive=True)])
    server = psutil.Process(stack.server.popen.pid).memory_full_info().pss
    total = (agent + database + server) / MIB
    parts = f"server {server / MIB:.0f}, PostgreSQL {database / MIB:.0f}, agent {agent / MIB:.0f} MiB"
    return Row("whole stack idle, memory (PSS)", f"{total:.0f} MiB", "< 250 MiB", parts, total < 250)


def _server_start(stack: Stack) -> Row:
    """With our own hold on PostgreSQL let go, so that the server starts it as a user's would."""
    stack.server.stop()
    stack.postgres.stop_blocking()
    taken = []
    for _ in range(3):
        before = time.perf_counter()
        stack.server = start_server(stack.home)
        taken.append(time.perf_counter() - before)
        stack.server.stop()
    seconds = statistics.median(taken)
    return Row("server start on an existing embedded database", f"{seconds:.2f} s", "< 2 s", "", seconds < 2)
