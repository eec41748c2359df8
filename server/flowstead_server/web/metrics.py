"""`GET /metrics`: what Prometheus and its kin read, in their text format.

Figures of this process, and a few about the queue of all tenants together; never anything about one tenant, flow or
run. Counting the queue is a query: its answer is kept for some seconds, whoever asks. Without a database the rest is
answered all the same, and `flowstead_database_up` is 0.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from flowstead_server.domain.errors import FlowsteadError
from flowstead_server.store import figures
from flowstead_server.web.responses import send_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from starlette.types import Receive, Scope, Send

    from flowstead_server.db.database import Database
    from flowstead_server.pubsub.hub import Hub
    from flowstead_server.services.loop import Service

CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"
_KEPT_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 5.0
_OK: Final = 200
_NOT_FOUND: Final = 404

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Traffic:
    """Requests since the process began, and connections now. `errors`: answers to GraphQL requests that had some."""

    graphql: int = 0
    graphql_errors: int = 0
    graphql_seconds: float = 0.0
    other: int = 0
    websockets: int = 0


class MetricsApplication:
    """Answers at `/metrics`, for a process that answers nothing else."""

    def __init__(self, metrics: Metrics) -> None:
        """Take what is to be shown."""
        self._metrics = metrics

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        if scope["method"] in {"GET", "HEAD"} and scope["path"] == "/metrics":
            await send_bytes(send, _OK, CONTENT_TYPE, await self._metrics.text())
        else:
            await send_bytes(send, _NOT_FOUND, b"text/plain", b"There is nothing but /metrics.\n")


class _Text:
    """Metrics being written."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, name: str, kind: str, about: str, samples: Iterable[tuple[Mapping[str, str], float | None]]) -> None:
        """Add a metric; samples without a value are left out, and so is a metric without any."""
        known = [(labels, value) for labels, value in samples if value is not None]
        if not known:
            return
        self._lines += [f"# HELP flowstead_{name} {about}", f"# TYPE flowstead_{name} {kind}"]
        for labels, value in known:
            inner = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
            self._lines.append(f"flowstead_{name}{f'{{{inner}}}' if inner else ''} {value}")

    def gauge(self, name: str, about: str, value: float | None) -> None:
        """Add a figure that goes up and down."""
        self.add(name, "gauge", about, [({}, value)])

    def counter(self, name: str, about: str, value: float) -> None:
        """Add a figure that only goes up."""
        self.add(name, "counter", about, [({}, value)])

    def encode(self) -> bytes:
        """Return everything."""
        return "\n".join([*self._lines, ""]).encode()


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


class Metrics:
    """Writes the metrics of one process."""

    def __init__(
        self, version: str, database: Database, services: Sequence[Service[Any]], hub: Hub | None = None
    ) -> None:
        """Take the parts that have figures; `traffic` is to be counted by whoever answers requests."""
        self.traffic = Traffic()
        self._version = version
        self._database = database
        self._services = services
        self._hub = hub
        self._lock = asyncio.Lock()
        self._stored: _Stored | None = None
        self._stored_at = 0.0

    async def text(self) -> bytes:
        """Return all metrics. Never raises for a database that does not answer."""
        stored = await self._from_database()
        text = _Text()
        text.add("info", "gauge", "What answers; the value is always 1.", [({"version": self._version}, 1)])
        text.gauge("database_up", "Whether the database answers.", int(stored.up))
        self._add_pools(text)
        self._add_traffic(text)
        _add_queue(text, stored.queue)
        self._add_services(text, stored.oldest_work)
        return text.encode()

    def _add_pools(self, text: _Text) -> None:
        states = [
            ({"pool": name, "state": state}, value)
            for name, pool in self._database.pools.items()
            for state, value in (("used", pool.size - pool.idle), ("idle", pool.idle))
        ]
        text.add("database_connections", "gauge", "Connections to the database.", states)
        most = [({"pool": name}, pool.most) for name, pool in self._database.pools.items()]
        text.add("database_connections_most", "gauge", "How many connections there may be.", most)

    def _add_traffic(self, text: _Text) -> None:
        if self._hub is None:
            return
        traffic = self.traffic
        kinds = [({"kind": "graphql"}, traffic.graphql), ({"kind": "other"}, traffic.other)]
        text.add("http_requests_total", "counter", "HTTP requests that were answered.", kinds)
        text.counter("graphql_errors_total", "GraphQL requests whose answer had errors.", traffic.graphql_errors)
        text.counter("graphql_seconds_total", "Time that GraphQL requests took.", round(traffic.graphql_seconds, 6))
        text.gauge("websocket_connections", "Websockets that are open.", traffic.websockets)
        text.gauge("subscriptions", "Subscriptions that are open.", self._hub.follower_count)

    def _add_services(self, text: _Text, oldest: Mapping[str, float | None]) -> None:
        now = asyncio.get_running_loop().time()
        named = [({"service": service.name}, service.figures) for service in self._services]
        text.add("service_rounds_total", "counter", "Rounds.", [(name, known.rounds) for name, known in named])
        text.add(
            "service_failures_total", "counter", "Failed rounds.", [(name, known.failures) for name, known in named]
        )
        text.add(
            "service_seconds_total",
            "counter",
            "Time of all rounds.",
            [(name, round(f.seconds, 6)) for name, f in named],
        )
        text.add(
            "service_last_round_seconds",
            "gauge",
            "Time of the last round.",
            [(name, round(known.last_seconds, 6) if known.rounds else None) for name, known in named],
        )
        text.add(
            "service_last_success_timestamp_seconds",
            "gauge",
            "When a round last succeeded.",
            [(name, known.last_success) for name, known in named],
        )
        text.add(
            "service_lag_seconds",
            "gauge",
            "By how much the next round is late.",
            [(name, round(known.lag(now), 3)) for name, known in named],
        )
        text.add(
            "service_oldest_work_seconds",
            "gauge",
            "For how long the oldest work has been waiting, whoever does it.",
            [(name, oldest.get(name["service"])) for name, _ in named],
        )
        done = [({**name, "count": count}, value) for name, known in named for count, value in known.counts.items()]
        text.add("service_counts_total", "counter", "What rounds have done, by kind.", done)

    async def _from_database(self) -> _Stored:
        # Many who ask at once are one query.
        async with self._lock:
            loop = asyncio.get_running_loop()
            if self._stored is None or not self._stored.up or loop.time() - self._stored_at > _KEPT_SECONDS:
                self._stored = await self._ask()
                self._stored_at = loop.time()
            return self._stored

    async def _ask(self) -> _Stored:
        oldest: dict[str, float | None] = {}
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                queue = await figures.queue(self._database)
                for service in self._services:
                    oldest[service.name] = await service.oldest_work()
        except (FlowsteadError, TimeoutError) as error:
            logger.warning("Metrics: the database does not answer (%s)", error or type(error).__name__)
            return _Stored(up=False, queue=None, oldest_work=oldest)
        return _Stored(up=True, queue=queue, oldest_work=oldest)


@dataclass(frozen=True, slots=True)
class _Stored:
    """What the database said."""

    up: bool
    queue: figures.QueueFigures | None
    oldest_work: Mapping[str, float | None]


def _add_queue(text: _Text, queue: figures.QueueFigures | None) -> None:
    if queue is None:
        return
    states = {"waiting": queue.waiting, "due": queue.due, "submitted": queue.submitted, "running": queue.running}
    about = "Flow runs of all tenants: waiting for their time or an agent, due among them, and in flight."
    text.add("flow_runs", "gauge", about, [({"state": state}, number) for state, number in states.items()])
    oldest = round(queue.oldest_due, 3)
    text.gauge("flow_runs_oldest_due_seconds", "For how long the flow run has been due that waits longest.", oldest)
