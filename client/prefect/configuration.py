"""The settings: `prefect.config`, loaded once at import from defaults, user file, backend file and environment.

Each layer wins over the ones before it.  A file that is no valid TOML raises `tomllib.TOMLDecodeError` naming it; a
file that does not exist is no error.  Strings are cast to the Python value they spell, `$VAR` and `~` are expanded and
`${section.key}` refers to another setting.  `reload()` reads everything again, in place, for a process whose
environment was changed after the import (a freshly forked flow run).
"""

import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from prefect.utilities.collections import CompoundKey, dict_to_flatdict, flatdict_to_dict, merge_dicts

__all__ = [
    "BACKEND_CONFIG",
    "DEFAULT_CONFIG",
    "ENV_VAR_PREFIX",
    "USER_CONFIG",
    "Config",
    "config",
    "create_user_config",
    "interpolate_env_vars",
    "load_configuration",
    "load_default_config",
    "load_toml",
    "process_task_defaults",
    "reload",
    "string_to_type",
    "to_environment_variables",
]

DEFAULT_CONFIG = str(Path(__file__).with_name("defaults.toml"))
ENV_VAR_PREFIX = "PREFECT"
USER_CONFIG = os.environ.get(f"{ENV_VAR_PREFIX}__USER_CONFIG_PATH", "~/.prefect/config.toml")
BACKEND_CONFIG = os.environ.get(f"{ENV_VAR_PREFIX}__BACKEND_CONFIG_PATH", "~/.prefect/backend.toml")

_MAX_PASSES = 10
_REFERENCE = re.compile(r"\${([^${}]*)}")
# A cheap sieve in front of the parser: numbers but no addresses or UUIDs, things whose brackets or quotes close, and
# tuples, which begin as any of these do.
_MAY_BE_LITERAL = re.compile(
    r"""[+-]?\s*(?!\d+\.\d+\.)(?!(?:[^-]*-){4})[\d.][\w.+\-\s]*$
    | (?:[-+\d.\[({"']|True|False|None).*,
    | \[.*\]$ | \(.*\)$ | \{.*\}$ | [bBrRuU]{0,2}(?:".*"|'.*')$""",
    re.DOTALL | re.VERBOSE,
)
# Ids are opaque: one that happens to look like a number must stay the string that it is.
_OPAQUE = frozenset({("context", name) for name in ("flow_run_id", "flow_id", "claim_token")})


class ConfigKeyError(KeyError, AttributeError):
    """A setting that does not exist was read, as an attribute or as an item."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class Config(dict[str, Any]):
    """Nested settings with attribute and item access; a missing one raises `ConfigKeyError`."""

    def __getattr__(self, name: str) -> Any:
        return self[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        if name not in self:
            raise _missing(name)
        del self[name]

    def __missing__(self, name: str) -> Any:
        raise _missing(name)

    def __setitem__(self, name: str, value: Any) -> None:
        if type(value) is dict:
            value = Config(value)
        super().__setitem__(name, value)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def setdefault(self, key: str, default: Any = None) -> Any:
        """Return the value of `key`, after setting it to `default` if it was missing."""
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Set every key of a mapping (or of key-value pairs) and of the keyword arguments."""
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def copy(self) -> "Config":
        """Return a copy whose nested sections are copies too."""
        new = Config()
        for key, value in self.items():
            dict.__setitem__(new, key, value.copy() if isinstance(value, Config) else value)
        return new

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain nested dictionaries."""
        return {key: value.to_dict() if isinstance(value, Config) else value for key, value in self.items()}

    def __reduce__(self) -> tuple[Any, ...]:
        return (Config, (self.to_dict(),))

    def __dir__(self) -> Iterable[str]:
        return [*super().__dir__(), *self]

    def __repr__(self) -> str:
        return f"<Config: {super().__repr__()}>"


def _missing(name: str) -> ConfigKeyError:
    return ConfigKeyError(f"'Config' object has no attribute '{name}'")


def string_to_type(val: Any) -> Any:
    """Return the Python value that a string spells (`"true"`, `"4200"`, `"[1, 2]"`, ...), else the argument itself."""
    if not isinstance(val, str):
        return val
    text = val.strip(" \t")
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    if text != "None" and not _MAY_BE_LITERAL.match(text):
        return val
    if text.isdecimal() and text.isascii() and not text.startswith("0"):
        return int(text)
    from ast import literal_eval  # noqa: PLC0415 - costs milliseconds that few configurations need

    try:
        return literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return val


def interpolate_env_vars(env_var: Any) -> Any:
    """Return a string with `$VAR`, `${VAR}` and `~` expanded, also inside what was expanded; then cast by spelling."""
    if not isinstance(env_var, str):
        return env_var
    value = env_var
    for _ in range(_MAX_PASSES):
        expanded = os.path.expandvars(value) if "$" in value else value
        if expanded.startswith("~"):
            expanded = os.path.expanduser(expanded)  # noqa: PTH111 - Path would normalise what is not a path
        if expanded == value:
            break
        value = expanded
    return string_to_type(value)


def load_toml(path: str) -> dict[str, Any]:
    """Return the contents of a TOML file; `$VAR` and `~` in `path` are expanded.

    Raises `OSError` if it cannot be read and `tomllib.TOMLDecodeError`, naming the file, if it is malformed.
    """
    file = Path(os.path.expandvars(path)).expanduser()
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise tomllib.TOMLDecodeError(f"The configuration file {str(file)!r} is no valid TOML: {error}") from None


def _environment(prefix: str) -> Iterator[tuple[CompoundKey, str]]:
    start = f"{prefix}__"
    secrets = f"{start}CONTEXT__SECRETS__"
    for name, value in os.environ.items():
        if not name.startswith(start):
            continue
        if name.startswith(secrets):
            yield CompoundKey(("context", "secrets", name[len(secrets) :])), value
            continue
        path = CompoundKey(part.lower() for part in name[len(start) :].split("__"))
        if all(path):
            yield path, value


def _apply_environment(settings: MutableMapping[str, Any], prefix: str) -> None:
    for path, value in _environment(prefix):
        level = settings
        for key in path[:-1]:
            if not isinstance(level.get(key), dict):
                level[key] = {}
            level = level[key]
        level[path[-1]] = value


def _resolve_references(flat: dict[CompoundKey, Any]) -> None:
    for _ in range(_MAX_PASSES):
        pending = [path for path, value in flat.items() if isinstance(value, str) and "${" in value]
        changed = False
        for path in pending:
            text = flat[path]
            whole = _REFERENCE.fullmatch(text)
            if whole:
                flat[path] = flat.get(CompoundKey(whole.group(1).split(".")), "")
            else:
                flat[path] = _REFERENCE.sub(lambda m: str(flat.get(CompoundKey(m.group(1).split(".")), "")), text)
            changed = changed or flat[path] != text
        if not changed:
            break
    for path, value in flat.items():
        if path not in _OPAQUE and path[:2] != ("context", "secrets"):
            flat[path] = string_to_type(value)


def _validate(settings: Mapping[str, Any]) -> None:
    for key, value in settings.items():
        if isinstance(key, str) and hasattr(Config, key):
            raise ValueError(f'Invalid config key: "{key}"')
        if isinstance(value, Mapping):
            _validate(value)


def process_task_defaults(config: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Normalise `tasks.defaults` in place: absent or false values, and retry delays given in seconds."""
    defaults = config.setdefault("tasks", Config()).setdefault("defaults", Config())
    defaults["max_retries"] = defaults.get("max_retries") or 0
    delay = defaults.get("retry_delay")
    if not delay and not isinstance(delay, timedelta):
        defaults["retry_delay"] = None
    elif isinstance(delay, (int, float)):
        defaults["retry_delay"] = timedelta(seconds=delay)
    defaults["timeout"] = defaults.get("timeout") or None
    return config


def load_configuration(
    path: str,
    user_config_path: str | None = None,
    backend_config_path: str | None = None,
    env_var_prefix: str | None = None,
) -> Config:
    """Return the settings of a defaults file overlaid by a user file, a backend file and environment variables.

    Raises `ValueError` for a key that is the name of a `Config` method, `tomllib.TOMLDecodeError` for a malformed
    file.
    """
    settings: MutableMapping[str, Any] = load_toml(path)
    for overlay in (user_config_path, backend_config_path):
        if overlay and Path(os.path.expandvars(overlay)).expanduser().is_file():
            settings = merge_dicts(settings, load_toml(overlay))
    if env_var_prefix:
        _apply_environment(settings, env_var_prefix)
    _validate(settings)
    flat = dict_to_flatdict(settings)
    for path_, value in flat.items():
        if isinstance(value, str) and path_ not in _OPAQUE:
            flat[path_] = interpolate_env_vars(value)
    _resolve_references(flat)
    loaded = Config(flatdict_to_dict(flat, dct_class=dict))
    for name, value in settings.items():
        if isinstance(value, Mapping):
            loaded.setdefault(name, Config())
    return loaded


def load_default_config() -> Config:
    """Return the settings as this process would load them now."""
    loaded = load_configuration(
        DEFAULT_CONFIG,
        user_config_path=os.environ.get(f"{ENV_VAR_PREFIX}__USER_CONFIG_PATH", USER_CONFIG),
        backend_config_path=os.environ.get(f"{ENV_VAR_PREFIX}__BACKEND_CONFIG_PATH", BACKEND_CONFIG),
        env_var_prefix=ENV_VAR_PREFIX,
    )
    process_task_defaults(loaded)
    return loaded


def create_user_config(dest_path: str, source_path: str = DEFAULT_CONFIG) -> None:
    """Copy a configuration file to `dest_path`; raises `ValueError` if that exists already."""
    destination = Path(os.path.expandvars(dest_path)).expanduser()
    if destination.is_file():
        raise ValueError(f"File already exists: {destination}")
    destination.parent.mkdir(parents=True, exist_ok=True)
    destination.write_text(Path(source_path).read_text(encoding="utf-8"), encoding="utf-8")


def to_environment_variables(
    config: Mapping[str, Any], include: Iterable[str] | None = None, prefix: str = ENV_VAR_PREFIX
) -> dict[str, str]:
    """Return `{"PREFECT__SECTION__KEY": str(value)}` for every setting, or for the dotted names of `include`."""
    flat = dict_to_flatdict(config)
    if include is not None:
        wanted = {CompoundKey(name.split(".")) for name in include}
        flat = {path: value for path, value in flat.items() if path in wanted}
    return {"__".join([prefix, *path]).upper(): str(value) for path, value in flat.items()}


config = load_default_config()


def reload() -> Config:
    """Read all settings again, in place, and reset this thread's `prefect.context` to them; returns `config`.

    For a process that was forked and given another environment: objects that hold `prefect.config` see the new values.
    """
    from prefect.utilities.context import context  # noqa: PLC0415 - the context is built from this module
    from prefect.utilities.logging import configure_extra_loggers, configure_logging  # noqa: PLC0415 - as above

    fresh = load_default_config()
    config.clear()
    config.update(fresh)
    context.reset()
    configure_logging()
    configure_extra_loggers()
    return config
