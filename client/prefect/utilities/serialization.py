"""Objects by their qualified names."""

import sys
from typing import Any

from prefect.serialization.functions import qualified_name as to_qualified_name

__all__ = ["from_qualified_name", "to_qualified_name"]


def from_qualified_name(obj_str: str) -> Any:
    """Return what a dotted name stands for among the imported modules; raises `ValueError` if nothing does."""
    module_name = obj_str
    while module_name:
        if module_name in sys.modules:
            found: Any = sys.modules[module_name]
            try:
                for attribute in obj_str[len(module_name) :].split(".")[1:]:
                    found = getattr(found, attribute)
            except AttributeError:
                break
            return found
        module_name = module_name.rpartition(".")[0]
    raise ValueError(f"Couldn't load \"{obj_str}\"; maybe it hasn't been imported yet?")
