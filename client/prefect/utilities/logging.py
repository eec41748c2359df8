"""The loggers of the library: one root, `prefect`, that prints to stdout and ships a run's lines to the API.

`get_logger` is what tasks and the engine use.  Configured once, at import; `configure_logging` applies changed settings
again.  A handler here never raises into the code that logs.
"""

import contextlib
import logging
import sys
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from prefect.configuration import config
from prefect.utilities.context import context
from prefect.utilities.interruption import raise_if_interrupted
from prefect.utilities.log_shipping import (
    BATCH_LOG_SIZE,
    LOG_MANAGER,
    LOG_OVERHEAD,
    MAX_BATCH_LOG_SIZE,
    MAX_LOG_SIZE,
    Destination,
    LogManager,
)

__all__ = [
    "BATCH_LOG_SIZE",
    "LOG_MANAGER",
    "MAX_BATCH_LOG_SIZE",
    "MAX_LOG_SIZE",
    "CloudHandler",
    "LogManager",
    "RedirectToLog",
    "configure_extra_loggers",
    "configure_logging",
    "create_diagnostic_logger",
    "get_logger",
    "prefect_logger",
    "temporary_logger_config",
]

_CONTEXT_ATTRIBUTES = ("flow_name", "flow_run_id", "task_name", "task_slug", "task_run_id")
_ROOT = "prefect"
_base_record_factory = logging.getLogRecordFactory()


def _make_record(*args: Any, **kwargs: Any) -> logging.LogRecord:
    raise_if_interrupted()
    record = _base_record_factory(*args, **kwargs)
    values = context.__dict__
    for name in _CONTEXT_ATTRIBUTES:
        if name in values:
            setattr(record, name, values[name])
    for name in config.logging.get("log_attributes") or ():
        setattr(record, name, values.get(name))
    return record


class CloudHandler(logging.Handler):
    """Hands every record of a run under a backend to the `LogManager`."""

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the record for upload if this thread executes a run whose logs are wanted by the API."""
        try:
            values = context.__dict__
            if not values.get("running_with_backend") or record.levelno < _level_number():
                return
            settings = values.get("config") or config
            if not settings.cloud.send_flow_run_logs:
                return
            cloud = settings.cloud
            flow_run_id, task_run_id = values.get("log_owner") or (values.get("flow_run_id"), values.get("task_run_id"))
            LOG_MANAGER.enqueue(
                {
                    "flow_run_id": flow_run_id,
                    "task_run_id": task_run_id,
                    "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
                    "name": record.name,
                    "level": record.levelname,
                    "message": _cut(self.format(record)),
                },
                Destination(cloud.api, cloud.get("api_key"), cloud.get("tenant_id"), values.get("claim_token")),
            )
        except Exception:
            self.handleError(record)


def _cut(message: str) -> str:
    size = len(message) + LOG_OVERHEAD
    if size <= MAX_LOG_SIZE:
        return message
    # As an error this warning would lose the line that it is about.
    with contextlib.suppress(Warning):
        warnings.warn(
            f"Received a log of size {size} bytes, exceeding the limit of {MAX_LOG_SIZE}. "
            "The message will be truncated.",
            stacklevel=2,
        )
    return message[: MAX_LOG_SIZE - LOG_OVERHEAD]


def _level_number() -> int:
    level = config.logging.level
    number = logging.getLevelName(level) if isinstance(level, str) else level
    return number if isinstance(number, int) else logging.INFO


def _formatter(fmt: str | None = None, datefmt: str | None = None) -> logging.Formatter:
    formatter = logging.Formatter(fmt or config.logging.format, datefmt or config.logging.datefmt)
    formatter.converter = time.gmtime
    return formatter


def _attach(logger: logging.Logger) -> None:
    for handler in [h for h in logger.handlers if getattr(h, "_of_prefect", False)]:
        logger.removeHandler(handler)
    stream = logging.StreamHandler(sys.stdout)
    stream.setFormatter(_formatter())
    for handler in (stream, CloudHandler()) if config.logging.get("to_stdout", True) else (CloudHandler(),):
        # Marks our own handlers, which are replaced when settings change; those of users are not.
        vars(handler)["_of_prefect"] = True
        logger.addHandler(handler)
    logger.setLevel(_level_number())


def configure_logging(testing: bool = False) -> logging.Logger:
    """Give the root logger (or, when `testing`, one of its own name) handlers and level as configured; returns it."""
    logging.setLogRecordFactory(_make_record)
    logger = logging.getLogger("prefect-test-logger" if testing else _ROOT)
    _attach(logger)
    return logger


def configure_extra_loggers() -> None:
    """Give the loggers named in `logging.extra_loggers` the handlers and the level of the root logger."""
    for name in config.logging.get("extra_loggers") or ():
        _attach(logging.getLogger(name))


def create_diagnostic_logger(name: str) -> logging.Logger:
    """Return a logger that prints everything, for troubleshooting; nothing it logs is shipped."""
    logger = logging.getLogger(name)
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(_formatter())
        logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    return logger


def get_logger(name: str | None = None) -> logging.Logger:
    """Return the root logger, or its child `prefect.{name}`."""
    if name is None or name == _ROOT:
        return prefect_logger
    return logging.getLogger(f"{_ROOT}.{name}")


@contextlib.contextmanager
def temporary_logger_config(
    level: int | str | None = None, stream_fmt: str | None = None, stream_datefmt: str | None = None
) -> Iterator[None]:
    """Change level and output format of the root logger for a block."""
    streams = [
        handler
        for handler in prefect_logger.handlers
        if isinstance(handler, logging.StreamHandler) and getattr(handler, "_of_prefect", False)
    ]
    previous_level = prefect_logger.level
    previous = [(handler, handler.formatter) for handler in streams]
    try:
        if level is not None:
            prefect_logger.setLevel(level)
        if stream_fmt is not None or stream_datefmt is not None:
            for handler in streams:
                handler.setFormatter(_formatter(stream_fmt, stream_datefmt))
        yield
    finally:
        prefect_logger.setLevel(previous_level)
        for handler, formatter in previous:
            handler.setFormatter(formatter)


class RedirectToLog:
    """A text stream whose every non-blank write is one INFO record; raises `TypeError` for what is no string."""

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self.logger = logger or get_logger("stdout")

    def write(self, s: str) -> int:
        """Log `s` unless it is blank; returns its length."""
        if not isinstance(s, str):
            raise TypeError(f"string argument expected, got {type(s).__name__!r}")
        if s.strip():
            self.logger.info(s)
        return len(s)

    def flush(self) -> None:
        """Do nothing: records are never buffered."""

    def isatty(self) -> bool:
        """Return False: a log is no terminal."""
        return False


prefect_logger = configure_logging()
configure_extra_loggers()
