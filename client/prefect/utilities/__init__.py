"""Small helpers, one purpose a module; every module here is reachable as `prefect.utilities.<name>`.

Sub-modules load on first attribute access, so that importing one helper never pays for another.  An unknown name raises
`AttributeError` as it would on any module.
"""

from typing import Any

from prefect.utilities.importtools import import_submodule


def __getattr__(name: str) -> Any:
    return import_submodule(__name__, name)
