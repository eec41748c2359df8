"""The library's HTTP client does not bring httpx's command line along."""

import subprocess
import sys


def test_sending_requests_loads_neither_rich_nor_click_nor_pygments():
    program = """
import sys
import prefect.client.transport
assert not {"rich", "click", "pygments", "httpx._main"} & set(sys.modules), sorted(sys.modules)
import httpx
assert callable(httpx.main) and callable(httpx.get)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
