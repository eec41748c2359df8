"""Fixtures that every test may use. Coroutine tests and fixtures run on anyio's asyncio backend without a mark."""

import inspect
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

# Whoever runs the tests in the background may ignore these signals; what the tests start must not inherit that.
for _number, _usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _usual)

# helpers for tests are imported by plain names from here
sys.path.insert(0, str(Path(__file__).parent / "support"))

from distribution import FilesInOrder, rank  # noqa: E402 - it is in that folder
from hypothesis import HealthCheck, settings  # noqa: E402 - after the folder, as above
from scratch import use_memory, use_own_home  # noqa: E402 - as above

use_memory()
use_own_home()

# That a machine is busy is no defect of what is tested.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

pytest_plugins = ["postgres_fixtures"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: rank(item.path))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    return FilesInOrder(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, name: str, obj: object) -> None:
    if name.startswith("test") and inspect.iscoroutinefunction(obj):
        pytest.mark.anyio(obj)
