"""What a task's `run` may look like, and what it takes; read once per function.

Raises `ValueError` for signatures that cannot work as tasks and `TypeError` for positional-only parameters.
"""

import inspect
import sys
import typing
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["check_run", "infer_nout", "signature_of", "split_arguments"]

RESERVED = ("upstream_tasks", "mapped", "task_args", "flow")


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """Return the signature of a function, whatever its annotations name; raises as `inspect.signature`.

    From Python 3.14 on annotations are evaluated when they are read, and may name what exists for type checkers only.
    """
    if sys.version_info >= (3, 14):
        import annotationlib  # noqa: PLC0415 - new in Python 3.14

        return inspect.signature(function, annotation_format=annotationlib.Format.FORWARDREF)
    return inspect.signature(function)


def check_run(run: Callable[..., Any], task_name: str) -> inspect.Signature:
    """Return the signature of a `run` function (including `self`, if it has one) after checking it."""
    try:
        signature = signature_of(run)
    except ValueError as error:
        raise ValueError(
            "This function can not be inspected (this is common with builtin and numpy functions). In order to use it "
            "as a task, please wrap it in a standard Python function. For more detail, see the following message: "
            f"{error}"
        ) from error
    kinds = {name: parameter.kind for name, parameter in signature.parameters.items()}
    if inspect.Parameter.VAR_POSITIONAL in kinds.values():
        raise ValueError(
            "Tasks with variable positional arguments (*args) are not supported, because all Prefect arguments are "
            "stored as keywords. As a workaround, consider modifying the run() method to accept **kwargs and feeding "
            "the values to *args."
        )
    if violations := [name for name in kinds if name in RESERVED]:
        raise ValueError(
            f"Tasks cannot have the following argument names: {', '.join(violations)}. "
            "These are reserved keyword arguments."
        )
    if positional := [n for n, kind in kinds.items() if kind is inspect.Parameter.POSITIONAL_ONLY and n != "self"]:
        raise TypeError(
            f"Found positional-only parameters in the function signature for task {task_name}: {positional}. "
            "Prefect passes arguments by keyword only; remove the `/` from the signature."
        )
    return signature


def split_arguments(signature: inspect.Signature, *args: Any, **kwargs: Any) -> Iterator[tuple[str, Any]]:
    """Yield (name, value) for every argument of a call, those of `**kwargs` each by its own name.

    Raises `TypeError` as the call itself would.
    """
    parameters = signature.parameters
    for name, value in signature.bind(*args, **kwargs).arguments.items():
        if parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
            yield from value.items()
        else:
            yield name, value


def infer_nout(run: Callable[..., Any], signature: inspect.Signature) -> int | None:
    """Return how many values a `Tuple[...]` return annotation of fixed length announces, else None."""
    annotation = signature.return_annotation
    if isinstance(annotation, str):
        if "uple" not in annotation:
            return None
        try:
            annotation = typing.get_type_hints(run).get("return")
        except Exception:
            # An annotation that names what does not exist at run time is not for us to judge.
            return None
    if typing.get_origin(annotation) is not tuple:
        return None
    arguments = typing.get_args(annotation)
    if Ellipsis in arguments:
        return None
    return 0 if arguments == ((),) else len(arguments)
