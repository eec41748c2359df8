"""§5, issue 4: type checkers understand flows as users write them, and find the mistakes in them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "tests" / "support" / "typing_samples"
GOOD, BAD = SAMPLES / "good_flow.py", SAMPLES / "bad_flow.py"


def marked_lines():
    lines = BAD.read_text().splitlines()
    return {number for number, line in enumerate(lines, 1) if "# mistake" in line}


# It would ask for its newest version, and print what it thinks of its own.
QUIET = os.environ | {"PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}


def run(module, *arguments):
    return subprocess.run(
        [sys.executable, "-m", module, *arguments, str(GOOD), str(BAD)],
        cwd=ROOT,
        env=QUIET,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_mypy_understands_flows():
    """Strict, with the cache of `make check`."""
    done = run("mypy", "--no-error-summary", "--no-color-output", "--hide-error-context")
    assert "good_flow" not in done.stdout, done.stdout
    found = {int(line) for line in re.findall(r"bad_flow\.py:(\d+): error", done.stdout)}
    assert found == marked_lines(), done.stdout + done.stderr


def test_pyright_understands_flows():
    """Where its npm package is, or can be fetched."""
    try:
        done = run("pyright", "--outputjson", "--pythonpath", sys.executable)
    except subprocess.TimeoutExpired:
        pytest.skip("pyright could not fetch its npm package in time")
    if not done.stdout.startswith("{"):
        pytest.skip(f"pyright could not start: {done.stderr[-200:]}")
    found = json.loads(done.stdout)["generalDiagnostics"]
    errors = {(Path(item["file"]).name, item["range"]["start"]["line"] + 1) for item in found}
    assert errors == {("bad_flow.py", line) for line in marked_lines()}, done.stdout
