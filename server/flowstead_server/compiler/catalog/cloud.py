"""Key-value pairs, concurrency limits and API keys: what 1.x kept in its cloud only, as data for the compiler."""

from __future__ import annotations

from flowstead_server.compiler.catalog.model import Column, Scalar, identified, table

KEY_VALUE = table(
    "key_value",
    "A small value that flows share, by its key.",
    identified(
        "key-value pair",
        Column("key", Scalar.STRING, "The key, unique in its tenant.", nullable=False),
        Column("value", Scalar.JSONB, "The value.", nullable=False),
    ),
)

TASK_TAG_LIMIT = table(
    "task_tag_limit",
    "How many task runs with a tag may run at the same time.",
    identified(
        "limit",
        Column("tag", Scalar.STRING, "The tag of tasks, unique in its tenant.", nullable=False),
        Column("limit", Scalar.INT, "How many may run at the same time.", nullable=False),
    ),
)

FLOW_CONCURRENCY_LIMIT = table(
    "flow_concurrency_limit",
    "How many flow runs with a label may run at the same time.",
    identified(
        "limit",
        Column("name", Scalar.STRING, "The label of flow runs, unique in its tenant.", nullable=False),
        Column("limit", Scalar.INT, "How many may run at the same time.", nullable=False),
    ),
)

AUTH_API_KEY = table(
    "auth_api_key",
    "A key with which programs show who they are; the key itself is not stored.",
    identified(
        "API key",
        Column("user_id", Scalar.UUID, "The user that the key was made for; null: none was named."),
        Column("name", Scalar.STRING, "The key's name.", nullable=False),
        Column("expires_at", Scalar.TIMESTAMPTZ, "When the key ends; null: never."),
    ),
)

TABLES = (KEY_VALUE, TASK_TAG_LIMIT, FLOW_CONCURRENCY_LIMIT, AUTH_API_KEY)
