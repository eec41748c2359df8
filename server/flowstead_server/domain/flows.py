"""Reading a serialized flow leniently: unknown members are kept, known ones may be missing.

Only what the server needs is checked, and what is wrong is named (BadInputError).
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from dataclasses import dataclass
from typing import Any, Final

import orjson

from flowstead_server.domain.errors import BadInputError
from flowstead_server.domain.serialized_states import encode

MAX_FLOW_BYTES: Final = 50_000_000
MAX_NAME_BYTES: Final = 1000
_OLDEST_CORE_VERSION: Final = (0, 6, 1)
_VERSION: Final = re.compile(r"^(\d+)\.(\d+)(?:\.(\d+))?")
_MAX_INT: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class ParsedFlow:
    """A serialized flow's members as they are stored; JSON members are text."""

    name: str
    core_version: str | None
    schedule: str | None
    run_config: str | None
    environment: str | None
    storage: str | None
    parameters: str
    whole: str
    tasks: list[Any]
    edges: list[Any]


def decompress(text: str) -> dict[str, Any]:
    """Read base64 of gzip of JSON. Raises BadInputError, also for what would unpack to more than 50 MB."""
    message = "Unable to decompress serialized flow"
    try:
        unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
        data = unpacker.decompress(base64.b64decode(text, validate=False), MAX_FLOW_BYTES)
        if unpacker.unconsumed_tail:
            raise BadInputError(f"{message}: it is larger than {MAX_FLOW_BYTES} bytes.")
        if not unpacker.eof:
            raise BadInputError(message)
        flow = orjson.loads(data)
    except (binascii.Error, zlib.error, orjson.JSONDecodeError, ValueError) as error:
        raise BadInputError(message) from error
    if not isinstance(flow, dict):
        raise BadInputError(message)
    return flow


def check_length(text: str, what: str) -> None:
    """Raise BadInputError if a name is too long to be looked up by an index."""
    size = len(text.encode())
    if size > MAX_NAME_BYTES:
        raise BadInputError(f"{what} may have {MAX_NAME_BYTES} bytes at most, but {text[:40]!r}… has {size}.")


def parse_flow(flow: object) -> ParsedFlow:
    """Read a serialized flow."""
    if not isinstance(flow, dict):
        raise BadInputError("A serialized flow must be a JSON object.")
    name = flow.get("name")
    if not isinstance(name, str) or not name:
        raise BadInputError("A serialized flow must have a name.")
    check_length(name, "The name of a flow")
    core_version = flow.get("__version__")
    if core_version is not None and not isinstance(core_version, str):
        raise BadInputError(f"The __version__ of a serialized flow must be text, but it is {core_version!r}.")
    _check_core_version(core_version)
    return ParsedFlow(
        name=name,
        core_version=core_version,
        schedule=_object(flow, "schedule"),
        run_config=_object(flow, "run_config"),
        environment=_object(flow, "environment"),
        storage=_object(flow, "storage"),
        parameters=encode(_list(flow, "parameters")),
        whole=encode(flow),
        tasks=_list(flow, "tasks"),
        edges=_list(flow, "edges"),
    )


def task_columns(tasks: object) -> list[dict[str, Any]]:
    """Return the columns that are stored of serialized tasks."""
    if not isinstance(tasks, list):
        raise BadInputError("Serialized tasks must be a JSON list.")
    columns = []
    for task in tasks:
        slug = task.get("slug") if isinstance(task, dict) else None
        if not isinstance(slug, str) or not slug:
            raise BadInputError("Every serialized task must have a slug.")
        check_length(slug, "The slug of a task")
        trigger = task.get("trigger")
        if isinstance(trigger, dict):
            trigger = trigger.get("fn")
        retries = task.get("max_retries")
        delay = task.get("retry_delay")
        tags = task.get("tags")
        if retries is not None and not (isinstance(retries, int) and 0 <= retries <= _MAX_INT):
            raise BadInputError(f"The max_retries of the task {slug!r} must be a number from 0, but is {retries!r}.")
        if delay is not None and not (isinstance(delay, int | float) and 0 <= delay <= _MAX_INT):
            raise BadInputError(f"The retry_delay of the task {slug!r} must be seconds from 0, but is {delay!r}.")
        columns.append(
            {
                "id": task.get("id"),
                "name": task.get("name"),
                "slug": slug,
                "type": task.get("type"),
                "max_retries": retries,
                "tags": tags if isinstance(tags, list) else [],
                "retry_delay": delay,
                "trigger": trigger,
                "auto_generated": bool(task.get("auto_generated")),
                "cache_key": task.get("cache_key"),
            }
        )
    return columns


def edge_columns(edges: object) -> list[dict[str, Any]]:
    """Return the columns that are stored of serialized edges, with slugs for the tasks."""
    if not isinstance(edges, list):
        raise BadInputError("Serialized edges must be a JSON list.")
    columns = []
    for edge in edges:
        if not isinstance(edge, dict):
            raise BadInputError("Every serialized edge must be a JSON object.")
        columns.append(
            {
                "upstream": _edge_slug(edge, "upstream_task"),
                "downstream": _edge_slug(edge, "downstream_task"),
                "key": edge.get("key"),
                "mapped": bool(edge.get("mapped")),
            }
        )
    return columns


def _edge_slug(edge: dict[str, Any], end: str) -> str:
    task = edge.get(end)
    slug = task.get("slug") if isinstance(task, dict) else task
    if not isinstance(slug, str):
        raise BadInputError(f"Every serialized edge must name its {end} by a slug.")
    return slug


def _check_core_version(version: str | None) -> None:
    match = _VERSION.match(version or "")
    if match is None:
        return  # builds from a checkout carry no comparable number
    numbers = tuple(int(part or 0) for part in match.groups())
    # such a build is numbered 0+unknown or 0.0.0, so zero is no release
    if (0, 0, 0) < numbers < _OLDEST_CORE_VERSION:
        raise BadInputError(
            "Prefect backends require new flows to be built with Prefect 0.6.1+, "
            f"but this flow was built with Prefect {version}."
        )


def _object(flow: dict[str, Any], member: str) -> str | None:
    value = flow.get(member)
    if value is None:
        return None
    if not isinstance(value, dict):
        raise BadInputError(f"The {member} of a serialized flow must be a JSON object or null.")
    return encode(value)


def _list(flow: dict[str, Any], member: str) -> list[Any]:
    value = flow.get(member)
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadInputError(f"The {member} of a serialized flow must be a JSON list or null.")
    return value
