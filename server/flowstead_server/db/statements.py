"""Named SQL statements out of `.sql` files.

A file is a series of `-- name: some_name` lines, each followed by one statement with `$1`-style bind parameters. Files
are read once, at import of the module that uses them; a missing or doubled name is an error then, not at night.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME: Final = re.compile(r"^-- name: (?P<name>\w+)[ \t]*$", re.MULTILINE)


class Statements(Mapping[str, str]):
    """The statements of one file by name. An unknown name is a KeyError that says the file."""

    def __init__(self, source: str, texts: Mapping[str, str]) -> None:
        self._source = source
        self._texts = dict(texts)

    def __getitem__(self, name: str) -> str:
        try:
            return self._texts[name]
        except KeyError:
            raise KeyError(f"{self._source} has no statement named {name}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


@cache
def load_statements(package: str, file_name: str) -> Statements:
    """Read the statements of `file_name` beside the modules of `package`.

    Raises FileNotFoundError, and ValueError if a name comes twice or a name has no statement.
    """
    source = f"{package}/{file_name}"
    return Statements(source, parse_statements(resources.files(package).joinpath(file_name).read_text("utf-8"), source))


def parse_statements(text: str, source: str) -> dict[str, str]:
    """Split the text of a `.sql` file into its statements."""
    marks = list(_NAME.finditer(text))
    statements: dict[str, str] = {}
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        name = mark["name"]
        body = text[mark.end() : following.start() if following else len(text)]
        body = "\n".join(line for line in body.splitlines() if not line.lstrip().startswith("--"))
        body = body.strip().removesuffix(";").strip()
        if not body:
            raise ValueError(f"{source}: the statement named {name} is empty")
        if name in statements:
            raise ValueError(f"{source}: the name {name} comes twice")
        # the name travels along, so that the database's own statistics and logs can be read
        statements[name] = f"/* {name} */ {body}"
    return statements
