"""What docs/compatibility.md says about operations: which tests it names for them, and which mutations exist."""

import re
from functools import cache
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "compatibility.md"


def _rows():
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("|"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


@cache
def named_tests():
    """Return the names of tests by the number of an operation; none for what no test covers."""
    return {
        row[0]: set(re.findall(r"`(test_\w+(?:\[[^]]*\])?)`", row[-1]))
        for row in _rows()
        if re.fullmatch(r"[QMC]\d+", row[0])
    }


@cache
def implemented_mutations():
    """Return the mutations that the page calls implemented."""
    return {
        name
        for row in _rows()
        if len(row) == 3 and row[-1].startswith("yes")
        for name in re.findall(r"`(\w+)`", row[1])
    }
