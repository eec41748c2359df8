"""What an agent prints: its banner, and a log with UTC times.  Writing to a closed terminal is `logging`'s business."""

import logging
import sys
import time

__all__ = ["BANNER", "agent_logger"]

BANNER = r"""
  __ _                     _                 _
 / _| | _____      _____  | |_ ___  __ _  __| |
| |_| |/ _ \ \ /\ / / __| | __/ _ \/ _` |/ _` |
|  _| | (_) \ V  V /\__ \ | ||  __/ (_| | (_| |
|_| |_|\___/ \_/\_/ |___/  \__\___|\__,_|\__,_|
                                          agent
"""


def agent_logger(name: str, level: str, line_format: str) -> logging.Logger:
    """Return the logger of an agent: writes to standard output, in UTC with milliseconds, and nowhere else.

    Raises `ValueError` for a level that does not exist.
    """
    logger = logging.getLogger(name)
    logger.setLevel(level.upper())
    logger.propagate = False
    for handler in [handler for handler in logger.handlers if isinstance(handler, _AgentHandler)]:
        logger.removeHandler(handler)
    handler = _AgentHandler(sys.stdout)
    formatter = logging.Formatter(line_format)
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logger.addHandler(handler)
    return logger


class _AgentHandler(logging.StreamHandler):  # type: ignore[type-arg] # not generic at run time
    """Marks the handler as ours, so that a second agent of the same name does not double the lines."""
