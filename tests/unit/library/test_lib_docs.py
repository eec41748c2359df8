"""The examples of docs/library.md run."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "library.md"
EXAMPLES = re.findall(
    r"^## (.*?)$|```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
)


def examples():
    title = ""
    for heading, code in EXAMPLES:
        title = heading or title
        if code:
            yield pytest.param(code, id=title)


@pytest.mark.parametrize("code", list(examples()))
def test_examples(code):
    exec(compile(code, str(PAGE), "exec"), {"__name__": "example"})
