"""Programs that some tests need and that not every machine has."""

import os
import shutil

import pytest


def require(name):
    """Skip a test where a program is not installed; in continuous integration, which installs it, the test fails."""
    if shutil.which(name) is None:
        reason = f"The program `{name}` is not on the PATH."
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
