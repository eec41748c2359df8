"""What happened, as records: the rows of the database and what the API had acknowledged.

Everybody who gets an acknowledgement appends it to a journal: a file of its process, one JSON object a line, which
survives the process being killed. `read_history` puts journals and rows together; `save` writes all of it to a file.
Moments are seconds since the epoch by the database's clock; `seq` is the order in which things of one run were stored.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import asyncpg


@dataclass(frozen=True, slots=True)
class Event:
    """A state of a run (`run`) or of one of its task runs (`task`), or a line of its log (`log`)."""

    seq: int
    at: float
    kind: str
    text: str
    state: str = ""
    version: int = 0
    task_run_id: str = ""


@dataclass(slots=True)
class Run:
    """A flow run as it is in the end, with all that was stored for it in order."""

    id: str
    flow: str
    key: str | None
    state: str
    version: int
    due: float
    events: list[Event] = field(default_factory=list)

    def of(self, kind: str) -> list[Event]:
        """The events of one kind."""
        return [event for event in self.events if event.kind == kind]


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `most` of the runs `run_ids` (or, for a tag, of the task runs `task_run_ids`) at the same time."""

    name: str
    most: int
    run_ids: frozenset[str] = frozenset()
    task_run_ids: frozenset[str] = frozenset()


@dataclass(slots=True)
class History:
    """All runs, and what was acknowledged: creates (key, run), log lines (run, text), cancellations (run, state).

    `left` are the processes of flow runs that went on although every run had ended, `fallen` the agents that ended
    although nobody had killed them.
    """

    runs: dict[str, Run] = field(default_factory=dict)
    created: list[tuple[str, str]] = field(default_factory=list)
    lines: list[tuple[str, str]] = field(default_factory=list)
    cancelled: list[tuple[str, str]] = field(default_factory=list)
    limits: list[Limit] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    fallen: list[str] = field(default_factory=list)


class Journal:
    """Appends what this process got acknowledged; a line is written whole or not at all."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._path = folder / f"{os.getpid()}.jsonl"
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def write(self, kind: str, **members: Any) -> None:
        """Append one record."""
        os.write(self._descriptor, (json.dumps({"kind": kind, **members}) + "\n").encode())


def read_journals(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of all processes."""
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            yield json.loads(line)


_RUNS = """
    select r.id::text, f.name as flow, r.idempotency_key, r.state, r.version,
        extract(epoch from r.scheduled_start_time)::float8 as due
    from flow_run r join flow f on f.id = r.flow_id
"""
_LIMITS = """
    select 'label ' || l.name as name, l."limit" as most, array_agg(r.id::text) as run_ids, '{}'::text[] as task_run_ids
    from flow_concurrency_limit l
    join label_set s on l.name = any (s.labels)
    join flow_run r on r.label_set_id = s.id
    group by l.name, l."limit"
    union all
    select 'flow ' || f.name, g.concurrency_limit, array_agg(r.id::text), '{}'
    from flow_group g join flow f on f.flow_group_id = g.id join flow_run r on r.flow_id = f.id
    where g.concurrency_limit is not null
    group by f.name, g.concurrency_limit
    union all
    select 'tag ' || l.tag, l."limit", '{}', array_agg(t.id::text)
    from task_tag_limit l join task k on k.tags ? l.tag join task_run t on t.task_id = k.id
    group by l.tag, l."limit"
"""
_EVENTS = """
    select flow_run_id::text as run, seq, extract(epoch from timestamp)::float8 as at, 'run' as kind,
        coalesce(message, '') as text, state, version, '' as task_run_id
    from flow_run_state
    union all
    select flow_run_id::text, seq, extract(epoch from timestamp)::float8, 'task', coalesce(message, ''), state, version,
        task_run_id::text
    from task_run_state
    union all
    select flow_run_id::text, seq, extract(epoch from created)::float8, 'log', coalesce(message, ''), '', 0, ''
    from log
    where flow_run_id is not null
    order by seq
"""


async def read_history(dsn: str, journals: Path) -> History:
    """Return everything; nobody should be writing any more."""
    history = History()
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction(isolation="repeatable_read"):
            for row in await connection.fetch(_RUNS):
                run_id, flow, key, state, version, due = row
                history.runs[run_id] = Run(run_id, flow, key, state, version, due)
            for row in await connection.fetch(_EVENTS):
                run, *members = row
                if run in history.runs:
                    history.runs[run].events.append(Event(*members))
            for name, most, run_ids, task_run_ids in await connection.fetch(_LIMITS):
                history.limits.append(Limit(name, most, frozenset(run_ids), frozenset(task_run_ids)))
    finally:
        await connection.close()
    for record in read_journals(journals):
        if record["kind"] == "created":
            history.created.append((record["key"], record["run"]))
        elif record["kind"] == "lines":
            history.lines += [(record["run"], text) for text in record["texts"]]
        elif record["kind"] == "cancelled":
            history.cancelled.append((record["run"], record["state"]))
    return history


def save(history: History, path: Path, **about: Any) -> None:
    """Write a history to a file, with whatever else is worth knowing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**about, **asdict(history)}, indent=1, default=list))
