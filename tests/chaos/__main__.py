"""The fault test: `python tests/chaos [--seed N] [--minutes M] [--runs R]`, or `make chaos SEED=… MINUTES=… RUNS=…`.

Exit code 1 if the checker found a violation; the history, the seed and what all processes printed are then under
build/chaos/. Ctrl-C ends it, and everything that it started.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import sys
import time
from itertools import islice
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from checker import check  # noqa: E402 - their folder is known only now
from faults import KINDS, SHORT_KINDS, Faults, schedule  # noqa: E402
from history import read_history, save  # noqa: E402
from load import Load, Mix  # noqa: E402
from report import Outcome, show  # noqa: E402
from world import World  # noqa: E402

# How much of the time runs are created and faults happen; the rest is for what is left to end.
BUSY = 0.8
# Nothing has ended for so long after the last fault: the test gives up waiting, and the checker says what hangs.
STUCK_SECONDS = 150.0
# How long the process of a flow run may go on after the last run has ended: it sends its last log lines.
LEAVING_SECONDS = 60.0


async def try_once(seed: int, seconds: float, runs: int, *, short: bool, limit: float, gap: float) -> Outcome:
    """Run the system, the load and the faults to their end, and check what happened."""
    chance = random.Random(seed)
    began = time.monotonic()
    async with World(limit, 1 if short else 2) as world:
        say(f"seed {seed}: all started after {time.monotonic() - began:.1f} s")
        faults = Faults(world)
        busy = seconds if short else seconds * BUSY
        mix = Mix(real_flows=("slow", "steps", "slow", "mapped"), tiny_flows=("tiny",)) if short else Mix()
        endless = schedule(random.Random(seed), gap, SHORT_KINDS if short else [*KINDS])
        load = Load(world, chance, runs, busy, mix)
        helpers = [asyncio.create_task(tell(world, load, faults)), asyncio.create_task(world.watch_agents())]
        folder = ROOT / "build" / "chaos" / f"seed-{seed}"
        all_created = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as group:
                breaking = (
                    faults.run(islice(endless, len(SHORT_KINDS)), None) if short else faults.run(endless, all_created)
                )
                group.create_task(breaking)
                await load.run()
                all_created.set()
            say(f"all created and all faults done after {time.monotonic() - began:.0f} s; waiting for the last runs")
            await all_whole(world)
            if short:
                await forget_what_agents_said(world)
            await all_ended(world)
            left = await all_left(world)
        finally:
            for helper in helpers:
                helper.cancel()
            world.save_outputs(folder)
        history = await read_history(world.dsn, world.journals)
        history.left, history.fallen = left, world.fallen
        outcome = Outcome(seed, time.monotonic() - began, faults.counts(), history, check(history))
        save(
            history,
            folder / "history.json",
            seed=seed,
            faults=faults.as_records(),
            missed=[fault.kind for fault in faults.missed],
            violations=[str(violation) for violation in outcome.violations],
        )
    return outcome


async def all_whole(world: World) -> None:
    """Make sure that everybody is there and nobody is frozen."""
    for proxy in world.proxies:
        proxy.heal()
    world.wake_all()
    await world.revive_postgres()
    for part in (*world.servers, *world.agents):
        if not part.lives:
            world.start(part)
    for server in world.servers:
        await world.answers(server)


async def forget_what_agents_said(world: World) -> None:
    """Do what a minute and a half does: an agent's word for a run that it claimed, and then died, holds so long."""
    await world.query("update flow_run_heartbeat set followed = followed - interval '90 seconds'")


async def all_ended(world: World) -> None:
    """Return when every run has ended, or when nothing happens any more."""
    least, since = None, time.monotonic()
    while (left := await world.unfinished()) != 0 and time.monotonic() - since < STUCK_SECONDS:
        if left is not None and (least is None or left < least):
            least, since = left, time.monotonic()
        await asyncio.sleep(0.2)
    say(f"{least or 0} runs did not end" if left else "every run has ended")
    # The task runs of those that failed at last may be ended by the zombie reaper only.
    deadline = time.monotonic() + STUCK_SECONDS
    while await world.running_task_runs() != 0 and time.monotonic() < deadline:  # noqa: ASYNC110 - asks the database
        await asyncio.sleep(0.2)


async def all_left(world: World) -> list[str]:
    """Return when the processes of all flow runs have ended, or which of them go on for too long."""
    deadline = time.monotonic() + LEAVING_SECONDS
    while True:
        _, processes = await asyncio.to_thread(world.forked)
        if not processes or time.monotonic() > deadline:
            return [str(process) for process in processes]
        await asyncio.sleep(0.2)


async def tell(world: World, load: Load, faults: Faults) -> None:
    """Say every ten seconds how far it is."""
    while True:
        await asyncio.sleep(10)
        say(f"{load.created} runs created, {await world.unfinished()} not ended, {len(faults.done)} faults")


def say(text: str) -> None:
    """Tell whoever waits."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def main() -> int:
    """Run the test as the arguments say; the exit code."""
    parser = argparse.ArgumentParser(prog="python tests/chaos", description="Kill, freeze and cut; then check.")
    parser.add_argument("--seed", type=int, help="what chance starts from (default: drawn by lot, and printed)")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--gap", type=float, default=2.0, help="seconds between two faults, on average")
    parser.add_argument("--short", action="store_true", help="60 runs, each fault once: what `make test` runs")
    options = parser.parse_args()
    seed = random.randrange(10**6) if options.seed is None else options.seed
    # Whoever runs this in the background may have it ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        if options.short:
            trial = try_once(seed, 7.0, 60, short=True, limit=3.0, gap=7 / len(SHORT_KINDS))
        else:
            trial = try_once(seed, options.minutes * 60, options.runs, short=False, limit=6.0, gap=options.gap)
        outcome = asyncio.run(trial)
    except KeyboardInterrupt:
        say("interrupted; everything has been ended")
        return 130
    show(outcome)
    print(outcome.row())
    if outcome.violations:
        print(f"Seed {seed}; everything is in build/chaos/seed-{seed}.", file=sys.stderr)
    return 1 if outcome.violations else 0


if __name__ == "__main__":
    sys.exit(main())
