"""How much one operation may ask for. The figures are data, so that a server can be given others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flowstead_server.compiler.errors import LimitError

MOST_ROWS: Final = 100_000
MOST_BYTES: Final = 100_000_000
_SENTENCES: Final = {
    "tokens": "The document has more than {allowed} words and signs; send long values as variables.",
    "depth": "The operation is nested {found} levels deep; at most {allowed} are allowed.",
    "fields": "The operation selects {found} fields with its fragments expanded; at most {allowed} are allowed.",
    "aliases": "The operation has {found} aliases with its fragments expanded; at most {allowed} are allowed.",
    "root_fields": "The operation has {found} root fields; at most {allowed} are allowed in one request.",
    "repeated_fields": "The operation writes {found} fields again that it selects already; at most {allowed} may be.",
    "cost": (
        "The operation may return {found} values, as computed from its limits and its nesting; at most {allowed} are "
        "allowed. Ask for fewer rows with limit, or for fewer lists inside lists."
    ),
    "tables": (
        "The operation reads tables at more than {allowed} places, filters and orders included; ask for less at once."
    ),
    "answer_bytes": "The answer is longer than {allowed} bytes; ask for fewer rows with limit, or for fewer columns.",
    "values": "The operation has more than {allowed} values; use _in with a list.",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one operation, all of them counted after fragments are expanded.

    `tables` bounds how often tables are read, also by filters and orders that follow relationships, because the time to
    plan a statement grows faster than their number. `cost` bounds the sum over all selected columns of the rows that
    they may be returned for; see `assumed_rows`. `answer_bytes` bounds the JSON that the database makes of the answer,
    which the server holds whole. `default_rows` is used where a list has no limit, `most_rows` cuts
    larger limits; None: no bound. Whether `introspection` is allowed stands here too, because it is decided at the same
    place.
    """

    tokens: int = 100_000
    depth: int = 20
    fields: int = 10_000
    aliases: int = 1_000
    root_fields: int = 500
    repeated_fields: int = 200
    tables: int = 2_000
    cost: int = 25_000_000
    answer_bytes: int = MOST_BYTES
    default_rows: int | None = MOST_ROWS
    most_rows: int | None = MOST_ROWS
    introspection: bool = True

    def rows(self, requested: int | None) -> int | None:
        """The number of rows that a list returns at most, or None for all."""
        wanted = self.default_rows if requested is None else requested
        if self.most_rows is None:
            return wanted
        return self.most_rows if wanted is None else min(wanted, self.most_rows)

    def assumed_rows(self, requested: int | None, *, is_nested: bool) -> int:
        """How many rows of a list the cost of an operation is computed for.

        A list without a limit counts as a usual one: most are short, and what is long is cut by `most_rows`.
        """
        if requested is None:
            usual = _USUAL_NESTED_ROWS if is_nested else _USUAL_ROWS
            return usual if self.default_rows is None else min(usual, self.default_rows)
        return requested if self.most_rows is None else min(requested, self.most_rows)

    def check(self, name: str, found: int) -> None:
        """Refuse an operation that goes beyond the limit of this name.

        Raises:
            LimitError: `found` is larger.
        """
        allowed: int = getattr(self, name)
        if found > allowed:
            raise limit_error(name, allowed, found)


_USUAL_ROWS: Final = 100
_USUAL_NESTED_ROWS: Final = 20


def limit_error(name: str, allowed: int, found: int | None = None) -> LimitError:
    """The refusal for going beyond the limit of this name."""
    return LimitError(_SENTENCES[name].format(allowed=allowed, found=found), {"limit": name, "allowed": allowed})
