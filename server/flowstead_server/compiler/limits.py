"""How much one operation may ask for. The figures are data, so that a server can be given others."""

from __future__ import annotations

from dataclasses import dataclass

from flowstead_server.compiler.errors import LimitError


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one operation.

    `fields` counts selected fields after fragments are expanded. `default_rows` is used where a list has no limit,
    `most_rows` cuts larger limits; None: no bound.
    """

    fields: int = 10_000
    default_rows: int | None = None
    most_rows: int | None = None

    def rows(self, requested: int | None) -> int | None:
        """The number of rows that a list returns at most, or None for all."""
        wanted = self.default_rows if requested is None else requested
        if self.most_rows is None:
            return wanted
        return self.most_rows if wanted is None else min(wanted, self.most_rows)

    def check_fields(self, count: int) -> None:
        """Refuse an operation that selects too many fields.

        Raises:
            LimitError: more than `fields` are selected.
        """
        if count > self.fields:
            raise LimitError(f"The operation selects more than {self.fields} fields; ask for fewer of them at once.")
