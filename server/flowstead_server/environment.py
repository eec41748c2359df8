"""Environment variables as settings. What makes no sense is a `StartupError` that says what to write instead."""

from collections.abc import Mapping, Sequence

from flowstead_server.domain.errors import StartupError

_MIN_SECONDS, _MAX_SECONDS = 0.001, 86_400
_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"", "0", "false", "no", "off"}


class Environment:
    """Reads environment variables; an unset and an empty one are the same."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        """Take the variables."""
        self._variables = variables

    def text(self, name: str) -> str | None:
        """Return a variable, null if there is nothing in it."""
        return self._variables.get(name, "").strip() or None

    def number(self, name: str, default: int) -> int:
        """Read a whole number, 0 or more. Raises StartupError, as the others do."""
        text = self.text(name)
        if text is None:
            return default
        try:
            number = int(text)
        except ValueError:
            number = -1
        if number < 0:
            raise StartupError(f"The environment variable {name} must be a whole number, not {text!r}.")
        return number

    def seconds(self, name: str, default: float, least: float = _MIN_SECONDS, most: float = _MAX_SECONDS) -> float:
        """Read seconds between two bounds."""
        text = self.text(name)
        if text is None:
            return default
        try:
            seconds = float(text)
        except ValueError:
            seconds = 0.0
        if not least <= seconds <= most:
            bounds = f"{least:g} and {most}"
            raise StartupError(f"The environment variable {name} must be seconds between {bounds}, not {text!r}.")
        return seconds

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Read true or false."""
        text = (self.text(name) or str(default)).lower()
        if text not in _TRUE | _FALSE:
            raise StartupError(f"The environment variable {name} must be true or false, not {text!r}.")
        return text in _TRUE

    def choice(self, name: str, choices: Sequence[str], default: str) -> str:
        """Read one of some words, in any case."""
        text = self.text(name) or default
        for choice in choices:
            if choice.lower() == text.lower():
                return choice
        raise StartupError(f"The environment variable {name} must be one of {', '.join(choices)}, not {text!r}.")
