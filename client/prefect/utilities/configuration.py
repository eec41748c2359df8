"""Changing settings for a block of code, for tests and scripts."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from prefect.configuration import Config, config
from prefect.utilities.context import context

__all__ = ["set_temporary_config"]


@contextlib.contextmanager
def set_temporary_config(temp_config: Mapping[str, Any]) -> Iterator[Config]:
    """Set dotted keys in `prefect.config` and `prefect.context.config` for a block; both are restored afterwards."""
    previous = config.copy()
    in_context = context.get("config")
    try:
        for target in [config] if in_context is config else [config, in_context := in_context.copy()]:
            for key, value in temp_config.items():
                *sections, name = key.split(".")
                level = target
                for section in sections:
                    level = level.setdefault(section, Config())
                level[name] = value
        with context(config=in_context):
            yield config
    finally:
        config.clear()
        config.update(previous)
