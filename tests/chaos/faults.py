"""What is done to the system: a schedule drawn from a seed, carried out on whoever is there, and a record of it.

A fault takes a part that no other fault has at the moment, and gives it back whole: what was killed is started again,
what was frozen goes on. Who is hit depends on what runs; the seed gives kinds, moments and lengths.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

import psutil
from world import Part, World

# How long a fault looks for somebody to hit, in seconds.
PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Planned:
    """A fault to come; `at` is in seconds after the beginning, `chance` decides about its details."""

    at: float
    kind: str
    chance: float


@dataclass(frozen=True, slots=True)
class Done:
    """A fault that happened, `at` and `seconds` of it."""

    at: float
    seconds: float
    kind: str
    whom: str


def schedule(chance: random.Random, gap: float, kinds: Sequence[str]) -> Iterator[Planned]:
    """Yield faults for ever, on average `gap` seconds apart: rounds of these kinds, each once, in an order by lot."""
    begin = 0.0
    while True:
        kinds = chance.sample(kinds, len(kinds))
        end = begin + gap * len(kinds)
        moments = sorted(chance.uniform(begin, end) for _ in kinds)
        yield from (Planned(at, kind, chance.random()) for at, kind in zip(moments, kinds, strict=True))
        begin = end


class Faults:
    """Carries out a schedule on a world; `done` is what happened, `missed` what found nobody to hit."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._began = time.monotonic()
        self.done: list[Done] = []
        self.missed: list[Planned] = []

    async def run(self, planned: Iterable[Planned], until: asyncio.Event | None) -> None:
        """Do everything at its time, or what comes until then; returns when all is whole again."""
        self._began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for fault in planned:
                wait = max(0.0, self._began + fault.at - time.monotonic())
                if until is None:
                    await asyncio.sleep(wait)
                else:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(until.wait(), wait)
                    if until.is_set():
                        return
                group.create_task(self._do(fault))

    def counts(self) -> dict[str, int]:
        """How many faults of each kind happened."""
        counted = Counter(fault.kind for fault in self.done)
        return {kind: counted[kind] for kind in KINDS}

    def as_records(self) -> list[dict[str, object]]:
        """What happened, for a file."""
        return [asdict(fault) for fault in self.done]

    async def _do(self, fault: Planned) -> None:
        deadline = time.monotonic() + PATIENCE
        chance = random.Random(fault.chance)
        while True:
            begin = time.monotonic()
            whom = await KINDS[fault.kind](self, chance)
            if whom is not None:
                end = time.monotonic()
                self.done.append(Done(begin - self._began, end - begin, fault.kind, whom))
                return
            if time.monotonic() > deadline:
                self.missed.append(fault)
                return
            await asyncio.sleep(0.5)

    # -- whom ----------------------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _one_of(self, parts: Sequence[Part], chance: random.Random) -> AsyncIterator[Part | None]:
        free = [part for part in parts if part.lives and not part.busy.locked()]
        if not free:
            yield None
            return
        part = chance.choice(free)
        async with part.busy:
            yield part

    def _agents(self, kind: str) -> list[Part]:
        return [agent for agent in self._world.agents if agent.name.startswith(kind)]

    def _longer_than_the_limit(self, chance: random.Random) -> float:
        return self._world.heartbeat_limit + chance.uniform(0.5, 2.5)

    async def _forked(self, chance: random.Random, *, runs: bool) -> psutil.Process | None:
        servers, processes = await asyncio.to_thread(self._world.forked)
        found = processes if runs else servers
        return chance.choice(found) if found else None

    # -- killing -------------------------------------------------------------------------------------------------------

    async def _kill_part(self, parts: Sequence[Part], chance: random.Random) -> str | None:
        async with self._one_of(parts, chance) as part:
            if part is None:
                return None
            await self._world.kill(part)
            await asyncio.sleep(chance.uniform(0, 1.5))
            self._world.start(part)
            if part in self._world.servers:
                await self._world.answers(part)
            return part.name

    async def _stop_part(self, parts: Sequence[Part], chance: random.Random) -> str | None:
        async with self._one_of(parts, chance) as part:
            if part is None:
                return None
            await self._world.stop(part)
            self._world.start(part)
            if part in self._world.servers:
                await self._world.answers(part)
            return part.name

    async def stop_server(self, chance: random.Random) -> str | None:
        return await self._stop_part(self._world.servers, chance)

    async def stop_agent(self, chance: random.Random) -> str | None:
        return await self._stop_part(self._world.agents, chance)

    async def kill_server(self, chance: random.Random) -> str | None:
        return await self._kill_part(self._world.servers, chance)

    async def kill_executor(self, chance: random.Random) -> str | None:
        return await self._kill_part(self._agents("executor"), chance)

    async def kill_local_agent(self, chance: random.Random) -> str | None:
        return await self._kill_part(self._agents("local agent"), chance)

    async def kill_flow_process(self, chance: random.Random) -> str | None:
        return await self._signal(chance, signal.SIGKILL, runs=True)

    async def kill_fork_server(self, chance: random.Random) -> str | None:
        return await self._signal(chance, signal.SIGKILL, runs=False)

    async def _signal(self, chance: random.Random, number: int, *, runs: bool) -> str | None:
        process = await self._forked(chance, runs=runs)
        if process is None:
            return None
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)
            return str(process.pid)
        return None

    async def kill_postgres_backend(self, chance: random.Random) -> str | None:
        if self._world.postgres_busy.locked():
            return None
        async with self._world.postgres_busy:
            with contextlib.suppress(psutil.Error):
                children = self._world.postgres().children()
                backends = [child for child in children if "postgres: postgres" in " ".join(child.cmdline())]
                if backends:
                    victim = chance.choice(backends)
                    victim.kill()
                    await asyncio.sleep(0.5)
                    return str(victim.pid)
        return None

    async def restart_postgres(self, chance: random.Random) -> str | None:
        if self._world.postgres_busy.locked():
            return None
        async with self._world.postgres_busy:
            process = self._world.postgres()
            # immediate: no transaction is finished, and the next start recovers
            process.send_signal(signal.SIGQUIT)
            await asyncio.to_thread(psutil.wait_procs, [process], 20)
            await asyncio.sleep(chance.uniform(0, 1))
            await self._world.revive_postgres()
            return str(process.pid)

    # -- freezing ------------------------------------------------------------------------------------------------------

    async def _freeze(self, processes: Sequence[psutil.Process], seconds: float) -> None:
        try:
            for process in processes:
                with contextlib.suppress(psutil.Error):
                    process.suspend()
            await asyncio.sleep(seconds)
        finally:
            for process in processes:
                with contextlib.suppress(psutil.Error):
                    process.resume()

    async def _freeze_part(self, parts: Sequence[Part], chance: random.Random) -> str | None:
        async with self._one_of(parts, chance) as part:
            if part is None:
                return None
            await self._freeze([psutil.Process(part.pid)], self._longer_than_the_limit(chance))
            return part.name

    async def freeze_server(self, chance: random.Random) -> str | None:
        return await self._freeze_part(self._world.servers, chance)

    async def freeze_executor(self, chance: random.Random) -> str | None:
        return await self._freeze_part(self._agents("executor"), chance)

    async def freeze_local_agent(self, chance: random.Random) -> str | None:
        return await self._freeze_part(self._agents("local agent"), chance)

    async def freeze_flow_process(self, chance: random.Random) -> str | None:
        process = await self._forked(chance, runs=True)
        if process is None:
            return None
        await self._freeze([process], self._longer_than_the_limit(chance))
        return str(process.pid)

    async def freeze_postgres(self, chance: random.Random) -> str | None:
        if self._world.postgres_busy.locked():
            return None
        async with self._world.postgres_busy:
            main = self._world.postgres()
            await self._freeze([main, *main.children()], chance.uniform(0.5, 3))
            return str(main.pid)

    # -- the network ---------------------------------------------------------------------------------------------------

    async def cut_connections(self, chance: random.Random) -> str | None:
        proxy = chance.choice(self._world.proxies)
        return f"{proxy.cut()} connections of {proxy.port}"

    async def refuse_connections(self, chance: random.Random) -> str | None:
        proxy = chance.choice(self._world.proxies)
        proxy.refusing = True
        proxy.cut()
        await asyncio.sleep(chance.uniform(0.5, 3))
        proxy.refusing = False
        return str(proxy.port)

    async def delay_data(self, chance: random.Random) -> str | None:
        proxy = chance.choice(self._world.proxies)
        proxy.delay = chance.uniform(0.05, 0.5)
        await asyncio.sleep(chance.uniform(1, 3))
        proxy.delay = 0.0
        return str(proxy.port)

    async def lose_answers(self, chance: random.Random) -> str | None:
        proxy = chance.choice(self._world.proxies)
        before = proxy.lost
        proxy.lose_answers += chance.randint(1, 10)
        await asyncio.sleep(1)
        proxy.lose_answers = 0
        return f"{proxy.lost - before} answers of {proxy.port}" if proxy.lost > before else None

    # -- clocks --------------------------------------------------------------------------------------------------------

    async def jump_clock(self, chance: random.Random) -> str | None:
        async with self._one_of(self._world.agents, chance) as agent:
            if agent is None or agent.clock is None:
                return None
            ahead = chance.choice([-3600, -60, -10, 10, 60, 3600])
            for seconds in (ahead, 0):
                agent.clock.write_text(str(seconds))
                if agent.process is not None and agent.lives:
                    agent.process.popen.send_signal(signal.SIGUSR1)
                if seconds:
                    await asyncio.sleep(chance.uniform(2, 6))
            return f"{agent.name} by {ahead} s"


KINDS: dict[str, Callable[[Faults, random.Random], Awaitable[str | None]]] = {
    "server killed": Faults.kill_server,
    "executor killed": Faults.kill_executor,
    "local agent killed": Faults.kill_local_agent,
    "flow process killed": Faults.kill_flow_process,
    "fork server killed": Faults.kill_fork_server,
    "PostgreSQL backend killed": Faults.kill_postgres_backend,
    "PostgreSQL restarted": Faults.restart_postgres,
    "server stopped in order": Faults.stop_server,
    "agent stopped in order": Faults.stop_agent,
    "server frozen": Faults.freeze_server,
    "executor frozen": Faults.freeze_executor,
    "local agent frozen": Faults.freeze_local_agent,
    "flow process frozen": Faults.freeze_flow_process,
    "PostgreSQL frozen": Faults.freeze_postgres,
    "connections cut": Faults.cut_connections,
    "connections refused": Faults.refuse_connections,
    "data delayed": Faults.delay_data,
    "answers lost": Faults.lose_answers,
    "clock of an agent jumped": Faults.jump_clock,
}
SHORT_KINDS = [kind for kind in KINDS if "in order" not in kind]
