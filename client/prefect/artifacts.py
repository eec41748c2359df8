"""Where 1.x had its first functions for artifacts; they warn and forward to `prefect.backend`."""

import functools
import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from prefect.backend import artifacts

__all__ = ["create_link", "create_markdown", "delete_artifact", "update_link", "update_markdown"]

P = ParamSpec("P")
R = TypeVar("R")


def _forward(name: str, function: Callable[P, R]) -> Callable[P, R]:
    @functools.wraps(function)
    def forward(*args: P.args, **kwargs: P.kwargs) -> R:
        warnings.warn(
            f"`prefect.artifacts.{name}` has moved, please import `prefect.backend.{function.__name__}` instead.",
            stacklevel=2,
        )
        return function(*args, **kwargs)

    return forward


create_link = _forward("create_link", artifacts.create_link_artifact)
update_link = _forward("update_link", artifacts.update_link_artifact)
create_markdown = _forward("create_markdown", artifacts.create_markdown_artifact)
update_markdown = _forward("update_markdown", artifacts.update_markdown_artifact)
delete_artifact = _forward("delete_artifact", artifacts.delete_artifact)
