"""What users write as `key=value` or `@file`, and such files.  Pure but for reading them; raises `CliError`."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from flowstead_cli.errors import CliError

__all__ = ["merge_parameters", "parse_pairs", "read_parameter_file", "split_files"]

_MAX_SHOWN = 1000


def _parse_value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        plain_text = '"' not in text and error.msg in {"Extra data", "Expecting value"}
        if not plain_text:
            raise
        # Words, dates and the like need no quotes on a command line.
        return json.loads(json.dumps(text))


def parse_pairs(kind: str, pairs: Iterable[str]) -> dict[str, Any]:
    """Return the values of `key=value` options; a value is JSON, or else text when it has no double quote.

    Args:
        kind: `parameter` or `context`, for the error.
        pairs: the options as given; the first `=` divides, a later option of the same key wins.

    Raises:
        CliError: an option has no `=` or no key, or its value is no JSON.
    """
    values: dict[str, Any] = {}
    for pair in pairs:
        key, separator, text = pair.partition("=")
        if not separator or not key:
            raise CliError(f"Failed to parse {kind} {pair[:_MAX_SHOWN]!r}: expected key=value.")
        try:
            values[key] = _parse_value(text)
        # Besides what is no JSON: numbers too long and lists too deep for Python.
        except (ValueError, RecursionError) as error:
            raise CliError(
                f"Failed to parse JSON for {kind} {key!r} with value\n\n\t{text[:_MAX_SHOWN]}\n\nJSON Error: {error}"
            ) from None
    return values


def split_files(options: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the files that `--param` options name as `@file`, and the other options."""
    files, pairs = [], []
    for option in options:
        if option.startswith("@"):
            files.append(option[1:])
        else:
            pairs.append(option)
    return files, pairs


def read_parameter_file(path: str) -> dict[str, Any]:
    """Return the parameters in a JSON file, or in standard input for `-`.

    Raises:
        CliError: the file is missing or unreadable, is no JSON, or holds something other than an object.
    """
    file: Path | str = "<standard input>" if path == "-" else Path(path).expanduser().absolute()
    try:
        text = file.read_text(encoding="utf-8") if isinstance(file, Path) else sys.stdin.read()
    except FileNotFoundError:
        raise CliError(f"Parameter file does not exist: '{file}'") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"Failed to read the parameter file '{file}': {error}") from None
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CliError(f"Failed to parse JSON at '{file}': {error}") from None
    if not isinstance(values, dict):
        raise CliError(
            f"The parameter file '{file}' holds a JSON {type(values).__name__}; expected an object, "
            'such as {"name": "Marvin"}.'
        )
    return values


def merge_parameters(from_file: dict[str, Any], from_options: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """Return the parameters with options winning over the file, and the keys that were in both."""
    return {**from_file, **from_options}, from_file.keys() & from_options.keys()
