"""From a log line in a flow to the terminal of `prefect run --watch`, and `prefect run --quiet` as a whole process."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import select
import statistics
import subprocess
import sys
import termios
import time

from report import Row
from stack import Stack

LINES_PER_SECOND = 1000
LINES = 5000
ROUNDS = 9
LIMIT_SECONDS = 120.0
FLOW = """
import time

import prefect
from prefect import Flow, Parameter, task


@task
def write(lines, per_second):
    logger = prefect.context.get("logger")
    began = time.monotonic()
    for number in range(lines):
        pause = began + number / per_second - time.monotonic()
        if pause > 0:
            time.sleep(pause)
        logger.info("line %d written at %d", number, time.time_ns())


with Flow("bench-watching") as flow:
    write(Parameter("lines", default=0), Parameter("per_second", default=1000))
"""
_WRITTEN = re.compile(r"line (\d+) written at (\d+)\b")


async def measure(stack: Stack) -> list[Row]:
    """Watch one run in a pseudo-terminal; then create runs and watch none."""
    return await asyncio.to_thread(_measure, stack)


def _measure(stack: Stack) -> list[Row]:
    (stack.home / "bench_watching.py").write_text(FLOW)
    prefect = [sys.executable, "-m", "prefect"]
    for arguments in (["create", "project", "bench"], ["register", "--project", "bench", "-p", "bench_watching.py"]):
        subprocess.run([*prefect, *arguments], env=stack.environment, cwd=stack.home, check=True, capture_output=True)
    quiet = _quiet(stack, prefect)
    stack.agent()
    options = ["--param", f"lines={LINES}", "--param", f"per_second={LINES_PER_SECOND}"]
    delays, rate = _delays(stack, [*prefect, "run", "--name", "bench-watching", *options, "--watch"])
    p50, p99 = statistics.median(delays), sorted(delays)[int(0.99 * len(delays))]
    return [
        Row(
            f"log line → terminal at {LINES_PER_SECOND:,} lines/s, p50",
            f"{p50 * 1000:.0f} ms",
            "",
            f"{len(delays):,} lines, written at {rate:,.0f} lines/s",
        ),
        Row(
            f"log line → terminal at {LINES_PER_SECOND:,} lines/s, p99",
            f"{p99 * 1000:.0f} ms",
            "< 200 ms",
            "",
            p99 < 0.2,
        ),
        quiet,
    ]


def _quiet(stack: Stack, prefect: list[str]) -> Row:
    command = [*prefect, "get", "flows", "--name", "bench-watching", "--output", "json"]
    done = subprocess.run(command, env=stack.environment, check=True, capture_output=True, text=True)
    flow_id = re.findall(r'"id": "([^"]+)"', done.stdout)[0]
    taken, bare = [], []
    for _ in range(ROUNDS):
        for times, what in ((taken, [*prefect, "run", "--id", flow_id, "--quiet"]), (bare, [sys.executable, "-c", ""])):
            before = time.perf_counter()
            subprocess.run(what, env=stack.environment, check=True, capture_output=True)
            times.append(time.perf_counter() - before)
    seconds = statistics.median(taken)
    compared = f"bare python: {statistics.median(bare) * 1000:.0f} ms"
    return Row(
        "prefect run --id … --quiet, whole process", f"{seconds * 1000:.0f} ms", "< 500 ms", compared, seconds < 0.5
    )


def _delays(stack: Stack, command: list[str]) -> tuple[list[float], float]:
    """How long each line took to the terminal, in seconds, and how many a second were written."""
    terminal, slave = pty.openpty()
    termios.tcsetwinsize(slave, (50, 160))
    process = subprocess.Popen(command, env=stack.environment, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    arrivals: dict[int, tuple[int, int]] = {}
    rest = ""
    deadline = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 1)[0]:
            continue
        try:
            chunk = os.read(terminal, 1 << 16)
        except OSError:
            break
        now = time.time_ns()
        *complete, rest = (rest + chunk.decode(errors="replace")).split("\n")
        for number, written in _WRITTEN.findall("\n".join(complete)):
            arrivals.setdefault(int(number), (int(written), now))
    os.close(terminal)
    code = process.wait(20)
    if code or sorted(arrivals) != list(range(LINES)):
        raise RuntimeError(f"the tail ended with {code} after {len(arrivals)} of {LINES} lines")
    written = [moment for moment, _ in arrivals.values()]
    rate = (LINES - 1) / ((max(written) - min(written)) / 1e9)
    return [(now - moment) / 1e9 for moment, now in arrivals.values()], rate
