"""Fixtures that every test may use. Coroutine tests and fixtures run on anyio's asyncio backend without a mark."""

import inspect
import signal
import sys
from pathlib import Path

import pytest

# Whoever runs the tests in the background may ignore these signals; what the tests start must not inherit that.
for _number, _usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _usual)

# helpers for tests are imported by plain names from here
sys.path.insert(0, str(Path(__file__).parent / "support"))

pytest_plugins = ["postgres_fixtures"]


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, name: str, obj: object) -> None:
    if name.startswith("test") and inspect.iscoroutinefunction(obj):
        pytest.mark.anyio(obj)
