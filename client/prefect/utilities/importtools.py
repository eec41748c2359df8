"""Import objects by name, and make packages whose names load on first use.

A name that cannot be imported raises the `ImportError` or `AttributeError` of the import system.
"""

import importlib
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

__all__ = ["import_object", "import_submodule", "lazy_attributes"]


def import_object(name: str) -> Any:
    """Return what `package.module:attribute.path` or `package.module.attribute` names.

    Raises `ModuleNotFoundError` if there is no such module, `AttributeError` if the module has no such attribute.
    """
    if ":" in name:
        module_name, _, path = name.partition(":")
        value: Any = importlib.import_module(module_name)
        for part in path.split("."):
            value = getattr(value, part)
        return value
    module_name, _, attribute = name.rpartition(".")
    if not module_name:
        return importlib.import_module(name)
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except AttributeError:
        return importlib.import_module(name)


def import_submodule(package: str, name: str) -> Any:
    """Return the module `name` of a package, for its `__getattr__`; raises `AttributeError` if it has none."""
    module = f"{package}.{name}"
    if not name.startswith("_"):
        try:
            return importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
    raise AttributeError(f"module {package!r} has no attribute {name!r}")


def lazy_attributes(
    package: str, objects: Mapping[str, str], modules: Iterable[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` for a package; `objects` maps names to modules, `modules` are its own."""
    known_modules = frozenset(modules)

    def load(name: str) -> Any:
        if name in objects:
            value = getattr(importlib.import_module(objects[name]), name)
            setattr(sys.modules[package], name, value)
            return value
        if name in known_modules:
            return importlib.import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *objects, *known_modules})

    return load, names
