"""Errors on the wire: expected ones with their code, all others masked and logged with an id.

Every error that leaves has `extensions.code`. The codes and texts that 1.x programs look for are in wire-protocol 1.5.
"""

import logging
import secrets
from typing import Any

from graphql import GraphQLError

from flowstead_server.api.documents import is_syntax_error
from flowstead_server.domain.errors import FlowsteadError

logger = logging.getLogger(__name__)

PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"
BAD_USER_INPUT = "BAD_USER_INPUT"
API_ERROR = "API_ERROR"

INTERNAL_MESSAGE = "Unable to complete operation. An internal API error occurred."

WireError = dict[str, Any]


def wire_error(message: str, code: str) -> WireError:
    """Return an error that belongs to the request as a whole."""
    return {"message": message, "extensions": {"code": code}}


def internal_error(error: BaseException | None) -> WireError:
    """Log an unexpected failure and return what the caller may know: that it happened, and the id of the log line."""
    reference = secrets.token_hex(8)
    logger.error("Internal error %s while answering a request", reference, exc_info=error)
    return {"message": INTERNAL_MESSAGE, "extensions": {"code": API_ERROR, "id": reference}}


def request_error(error: GraphQLError) -> WireError:
    """Return an error found before execution: in the document, the choice of the operation or the variables."""
    return _formatted(error, PARSE_FAILED if is_syntax_error(error) else VALIDATION_FAILED)


def variable_error(error: GraphQLError) -> WireError:
    """Return an error found in the values of variables."""
    return _formatted(error, BAD_USER_INPUT)


def execution_error(error: GraphQLError) -> WireError:
    """Return an error that a resolver raised, or that graphql-core found while it put the answer together."""
    cause = error.original_error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    if isinstance(cause, FlowsteadError):
        answer = _formatted(error, cause.code)
        answer["message"] = str(cause)
        return answer
    if cause is None or isinstance(cause, GraphQLError):
        return _formatted(error, BAD_USER_INPUT)
    answer = internal_error(cause)
    if error.path is not None:
        answer["path"] = error.path
    return answer


def _formatted(error: GraphQLError, code: str) -> WireError:
    answer: WireError = dict(error.formatted)
    answer["extensions"] = {"code": code, **(error.extensions or {})}
    return answer
