"""What the scalars of the mutation side accept and refuse."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from graphql import GraphQLError, parse_value

from flowstead_server.api.scalars import JSON_SCALAR, parse_datetime, parse_uuid

ID = UUID("826257fc-8f09-47a9-8ff1-ef73bd6ebb62")


@pytest.mark.parametrize(
    "text",
    [
        "826257fc-8f09-47a9-8ff1-ef73bd6ebb62",
        "826257fc8f0947a98ff1ef73bd6ebb62",
        "{826257FC-8F09-47A9-8FF1-EF73BD6EBB62}",
    ],
)
def test_uuid_takes_every_usual_spelling(text: str) -> None:
    assert parse_uuid(text) == ID


@pytest.mark.parametrize("value", ["nonsense", "", 7, None, ["a"], "826257fc-8f09-47a9-8ff1"])
def test_uuid_refuses_with_the_text_of_1x(value: object) -> None:
    with pytest.raises(GraphQLError, match=r"^Could not parse UUID: "):
        parse_uuid(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2030-01-31T12:00:00+00:00", datetime(2030, 1, 31, 12, tzinfo=UTC)),
        ("2030-01-31T12:00:00Z", datetime(2030, 1, 31, 12, tzinfo=UTC)),
        ("2030-01-31 12:00:00", datetime(2030, 1, 31, 12, tzinfo=UTC)),
        ("2030-01-31", datetime(2030, 1, 31, tzinfo=UTC)),
        ("2030-01-31T12:00:00.5-05:00", datetime(2030, 1, 31, 17, 0, 0, 500_000, tzinfo=UTC)),
    ],
)
def test_datetime_takes_iso_8601_and_no_offset_is_utc(text: str, expected: datetime) -> None:
    assert parse_datetime(text) == expected


@pytest.mark.parametrize("value", ["tomorrow", "", 7, None, "0001-01-01T00:00:00+05:00", "2030-13-01"])
def test_datetime_refuses_nonsense(value: object) -> None:
    with pytest.raises(GraphQLError, match=r"^Could not parse DateTime: "):
        parse_datetime(value)


@pytest.mark.parametrize(
    ("literal", "expected"),
    [
        (r'"{\"a\": 2}"', {"a": 2}),
        ('"[1, null]"', [1, None]),
        ("7", 7),
        ("1.5", 1.5),
        ("true", True),
        ('{a: 1, b: ["x"]}', {"a": 1, "b": ["x"]}),
        (r'"\"text\""', "text"),
    ],
)
def test_json_literals(literal: str, expected: object) -> None:
    assert JSON_SCALAR.parse_literal is not None
    assert JSON_SCALAR.parse_literal(parse_value(literal), {}) == expected


def test_json_literal_that_is_no_json_is_refused() -> None:
    assert JSON_SCALAR.parse_literal is not None
    with pytest.raises(GraphQLError, match=r"^Could not parse JSON: not json"):
        JSON_SCALAR.parse_literal(parse_value('"not json"'), {})
