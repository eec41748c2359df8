"""Read-only views of what the API knows: flows, flow runs, task runs, tenants; artifacts and the key-value store.

Each view is a snapshot that one of its class methods asked for through `prefect.Client`; nothing is updated behind its
back.  A look-up that finds nothing, or more than it may, raises `ValueError`; what goes wrong on the way to the API is
a `prefect.exceptions.ClientError`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from prefect.utilities.importtools import import_submodule

if TYPE_CHECKING:
    from prefect.backend.artifacts import create_link_artifact as create_link_artifact
    from prefect.backend.artifacts import create_markdown_artifact as create_markdown_artifact
    from prefect.backend.artifacts import delete_artifact as delete_artifact
    from prefect.backend.artifacts import update_link_artifact as update_link_artifact
    from prefect.backend.artifacts import update_markdown_artifact as update_markdown_artifact
    from prefect.backend.flow import FlowView as FlowView
    from prefect.backend.flow_run import FlowRunView as FlowRunView
    from prefect.backend.kv_store import delete_key as delete_key
    from prefect.backend.kv_store import get_key_value as get_key_value
    from prefect.backend.kv_store import list_keys as list_keys
    from prefect.backend.kv_store import set_key_value as set_key_value
    from prefect.backend.task_run import TaskRunView as TaskRunView
    from prefect.backend.tenant import TenantView as TenantView

_HOMES = {
    "FlowRunView": "prefect.backend.flow_run",
    "FlowView": "prefect.backend.flow",
    "TaskRunView": "prefect.backend.task_run",
    "TenantView": "prefect.backend.tenant",
    "create_link_artifact": "prefect.backend.artifacts",
    "create_markdown_artifact": "prefect.backend.artifacts",
    "delete_artifact": "prefect.backend.artifacts",
    "delete_key": "prefect.backend.kv_store",
    "get_key_value": "prefect.backend.kv_store",
    "list_keys": "prefect.backend.kv_store",
    "set_key_value": "prefect.backend.kv_store",
    "update_link_artifact": "prefect.backend.artifacts",
    "update_markdown_artifact": "prefect.backend.artifacts",
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
