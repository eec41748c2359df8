"""§5, issue 4: type checkers understand flows as users write them, and find the mistakes in them."""

import json
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


def run(module, *arguments):
    return subprocess.run(
        [sys.executable, "-m", module, *arguments, str(GOOD), str(BAD)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_mypy_understands_flows():
    """Strict, with the cache of `make check`."""
    done = run("mypy", "--no-error-summary", "--no-color-output", "--hide-error-context")
    assert "good_flow" not in done.stdout, done.stdout
    found = {int(line) for line in re.findall(r"bad_flow\.py:(\d+): error", done.stdout)}
    assert found == marked_lines(), done.stdout + done.stderr


def test_pyright_understands_flows():
    try:
        version = subprocess.run(
            [sys.executable, "-m", "pyright", "--version"], capture_output=True, timeout=60, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip("pyright did not find its npm package in time")
    if version.returncode != 0:
        pytest.skip("pyright could not fetch its npm package")
    done = run("pyright", "--outputjson", "--pythonpath", sys.executable)
    found = json.loads(done.stdout)["generalDiagnostics"]
    errors = {(Path(item["file"]).name, item["range"]["start"]["line"] + 1) for item in found}
    assert errors == {("bad_flow.py", line) for line in marked_lines()}, done.stdout
