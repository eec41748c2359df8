"""The library's side of the API: `Client` for users, sessions and live streams for our own programs.

`Client` and `Secret` load when they are first used; nothing here loads an HTTP or GraphQL library before a request is
sent.  Every failure is a `prefect.exceptions.ClientError` (see `prefect.client.errors`), except
`VersionLockMismatchSignal`, which steers the engine.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from prefect.utilities.importtools import import_submodule

if TYPE_CHECKING:
    from prefect.client.client import Client as Client
    from prefect.client.results import FlowRunInfoResult as FlowRunInfoResult
    from prefect.client.results import ProjectInfo as ProjectInfo
    from prefect.client.results import TaskRunInfoResult as TaskRunInfoResult
    from prefect.client.session import AsyncSession as AsyncSession
    from prefect.client.session import Session as Session

_HOMES = {
    "AsyncSession": "prefect.client.session",
    "Client": "prefect.client.client",
    "FlowRunInfoResult": "prefect.client.results",
    "ProjectInfo": "prefect.client.results",
    "Secret": "prefect.client.secrets",
    "Session": "prefect.client.session",
    "TaskRunInfoResult": "prefect.client.results",
}

if not TYPE_CHECKING:  # a type checker shall complain about names that do not exist

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            return import_submodule(__name__, name)
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
