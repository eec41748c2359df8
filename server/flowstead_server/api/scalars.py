"""The scalars of the mutation side: `JSON`, `DateTime` and `UUID`.

They accept what 1.x programs send and refuse everything else with one sentence that names the value.
The table side has scalars of its own (`uuid`, `timestamptz`, `jsonb`), because it follows PostgreSQL's input rules.
"""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import strawberry
from graphql import GraphQLError, StringValueNode, ValueNode, value_from_ast_untyped
from strawberry.scalars import JSON
from strawberry.types.scalar import ScalarDefinition

_SHOWN = 80


def _shown(value: object) -> str:
    """Return the value as a message shows it: on one line and never long."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def parse_uuid(value: object) -> UUID:
    """Read a UUID in any spelling that `uuid.UUID` accepts.

    Raises:
        GraphQLError: the value is no UUID; the text begins with `Could not parse UUID:`, which 1.x programs know.
    """
    if isinstance(value, UUID):
        return value
    if not isinstance(value, str):
        raise GraphQLError(f"Could not parse UUID: {_shown(value)}")
    try:
        return UUID(value)
    except ValueError:
        raise GraphQLError(f"Could not parse UUID: {_shown(value)}") from None


def parse_datetime(value: object) -> datetime:
    """Read an ISO 8601 time; date-only and a space as separator are fine, and no offset means UTC.

    Raises:
        GraphQLError: the value is no time, or its offset moves it out of the years 1 to 9999.
    """
    if isinstance(value, str):
        try:
            parsed = datetime.fromisoformat(value)
            return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise GraphQLError(f"Could not parse DateTime: {_shown(value)}")


def format_datetime(value: object) -> str:
    """Write a time as ISO 8601 with offset."""
    if isinstance(value, datetime):
        return value.isoformat()
    raise GraphQLError(f"Could not write DateTime: {_shown(value)}")


def plain(value: JSON | None) -> Any:
    """Return JSON as the plain value that it is; verbs check what they need of it."""
    return value


def stored_json(text: str | bytes | None) -> JSON | None:
    """Return JSON text of the database as a value that is written to the answer unread."""
    return None if text is None else JSON(orjson.Fragment(text))


def _parse_json_literal(node: ValueNode, variables: dict[str, Any] | None = None) -> object:
    """Read a JSON literal: a string holds JSON text (as in 1.x), other literals are what they look like."""
    if not isinstance(node, StringValueNode):
        return value_from_ast_untyped(node, variables)
    try:
        return orjson.loads(node.value)
    except orjson.JSONDecodeError as error:
        raise GraphQLError(f"Could not parse JSON: {_shown(node.value)} ({error})", node) from None


def _unchanged(value: Any) -> Any:
    return value


JSON_SCALAR = strawberry.scalar(
    name="JSON",
    description=(
        "Any JSON value. As a variable it is taken as it is; written in a document it is a string that contains JSON, "
        'such as `"{\\"x\\": 1}"`, or a plain literal, such as `{x: 1}`.'
    ),
    serialize=_unchanged,
    parse_value=_unchanged,
    parse_literal=_parse_json_literal,
)
DATETIME_SCALAR = strawberry.scalar(
    name="DateTime",
    description="A moment in ISO 8601, such as `2030-01-31T12:00:00+00:00`. Without an offset it is UTC.",
    serialize=format_datetime,
    parse_value=parse_datetime,
)
UUID_SCALAR = strawberry.scalar(
    name="UUID",
    description="An id, such as `826257fc-8f09-47a9-8ff1-ef73bd6ebb62`.",
    serialize=str,
    parse_value=parse_uuid,
)

SCALARS: dict[object, ScalarDefinition] = {JSON: JSON_SCALAR, datetime: DATETIME_SCALAR, UUID: UUID_SCALAR}
"""What `StrawberryConfig.scalar_map` needs for the mutation side."""
