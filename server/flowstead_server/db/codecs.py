"""Values of ours as JSON text for PostgreSQL to unpack (`jsonb_to_recordset`)."""

from __future__ import annotations

from uuid import UUID

import orjson


def json_text(value: object) -> str:
    """Return the JSON text of rows. Times must have a zone. Raises TypeError for what is not JSON, time or UUID."""
    return orjson.dumps(value, default=_driver_uuid).decode()


def _driver_uuid(value: object) -> str:
    # the driver's own UUID class, which orjson does not know
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
