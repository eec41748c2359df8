"""The server's own log: plain lines on standard error, which never stop the server.

Only the server's loggers and warnings of libraries are shown; requests are logged when asked for.
"""

import logging
import sys
import time

_FORMAT = "%(asctime)s.%(msecs)03dZ %(levelname)-7s %(name)s: %(message)s"
_TIME = "%Y-%m-%dT%H:%M:%S"


def configure_logging(level: str) -> None:
    """Send log records of `level` (a name such as INFO) and above to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    formatter = logging.Formatter(_FORMAT, _TIME)
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("flowstead_server").setLevel(level)
    # A client that closes a websocket in the middle of a message is everyday life.
    logging.getLogger("uvicorn.error").setLevel(max(logging.WARNING, logging.getLevelName(level)))
    # While the database is away its pool says so with a traceback, every second.
    logging.getLogger("asyncpg.pool").setLevel(logging.ERROR)
    logging.raiseExceptions = False
