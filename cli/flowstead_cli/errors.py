"""What a command raises to end with a sentence instead of a traceback, and where other errors become one.

Commands raise `CliError`; `main` prints its text to standard error and exits with its code.  Errors of the library
are turned into sentences by `sentence_of`; an error that nobody expected keeps its traceback.
"""

import sys
import tomllib

__all__ = ["CliError", "LookupOptionsError", "explained", "sentence_of"]


class CliError(Exception):
    """A command cannot do what was asked.

    Args:
        message: the whole sentence for the user; empty when it was printed before.
        exit_code: status of the process, 1 unless told otherwise.
    """

    def __init__(self, message: str = "", *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code


class LookupOptionsError(CliError):
    """The options that name a flow contradict each other or are missing."""

    _COMBINATIONS = """
To look up a flow, give one of these combinations of options:
  --id
  --name
  --project and --name
  --path (and --name if there are multiple flows in the script)
  --module (and --name if there are multiple flows in the module)

`prefect run --help` describes each of them."""

    def __init__(self, message: str) -> None:
        super().__init__(f"Error: {message}\n{self._COMBINATIONS}")


def sentence_of(error: BaseException) -> str:
    """Return the sentence that an error of the library carries, or `<Type>: <text>` for any other error."""
    from prefect.exceptions import PrefectException, VersionLockMismatchSignal

    text = str(error).strip()
    if isinstance(error, (PrefectException, VersionLockMismatchSignal)) and text:
        return text + _reference(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _reference(error: BaseException) -> str:
    # An error that the API keeps to itself can be found in the server's log by this.
    for answer in getattr(error, "errors", None) or ():
        reference = (answer.get("extensions") or {}).get("id") if isinstance(answer, dict) else None
        if reference:
            return f" The server's log has the details under {reference}."
    return ""


def explained(error: BaseException) -> str | None:
    """Return the sentence for an error that a user can cause, or None for one that is a defect and needs its traceback.

    Never imports the library: an error of the library exists only when the library is loaded.
    """
    if isinstance(error, CliError):
        return error.message
    if isinstance(error, tomllib.TOMLDecodeError):
        return str(error)
    exceptions = sys.modules.get("prefect.exceptions")
    if exceptions is not None and isinstance(
        error, (exceptions.PrefectException, exceptions.VersionLockMismatchSignal)
    ):
        return sentence_of(error)
    return None
