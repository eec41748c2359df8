"""One operation from its text to the answer: status and body, by the rules of wire-protocol 1.4 and 1.5.

Mistakes in the request (document, choice of operation, variables) are status 400 with `errors` and no `data`. From the
moment that resolvers run the status is 200, whatever they raise. Nothing leaves `execute` as an exception.
"""

from dataclasses import dataclass
from typing import Any

from graphql import GraphQLError, OperationType
from strawberry.types import ExecutionResult

from flowstead_server.api.context import RequestContext
from flowstead_server.api.errors import (
    VALIDATION_FAILED,
    execution_error,
    internal_error,
    request_error,
    variable_error,
    wire_error,
)
from flowstead_server.api.schema import ApiSchema

OK = 200
BAD_REQUEST = 400


@dataclass(frozen=True, slots=True)
class Operation:
    """What a client wants to have executed."""

    query: str
    variables: dict[str, Any] | None
    operation_name: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """HTTP status, and a body for `orjson`."""

    status: int
    body: dict[str, Any]


async def execute(schema: ApiSchema, operation: Operation, context: RequestContext) -> Answer:
    """Execute a query or mutation. Subscriptions are refused: they need a websocket."""
    try:
        prepared = schema.documents.prepare(operation.query)
        if prepared.errors:
            return _refused(*(request_error(error) for error in prepared.errors))
        kind = prepared.operation_type(operation.operation_name)
    except GraphQLError as error:
        return _refused(request_error(error))
    if kind is OperationType.SUBSCRIPTION:
        return _refused(
            wire_error(
                "A subscription needs a websocket with the subprotocol graphql-transport-ws at this address.",
                VALIDATION_FAILED,
            )
        )
    context.document = prepared
    try:
        result = await schema.execute(
            operation.query,
            variable_values=operation.variables,
            context_value=context,
            operation_name=operation.operation_name,
        )
    except Exception as error:
        return Answer(OK, {"errors": [internal_error(error)], "data": None})
    return _answer(result)


def _answer(result: ExecutionResult) -> Answer:
    errors = result.errors
    if not errors:
        body: dict[str, Any] = {"data": result.data}
    elif result.data is None and all(_is_variable_error(error) for error in errors):
        return _refused(*(variable_error(error) for error in errors))
    else:
        body = {"errors": [execution_error(error) for error in errors], "data": result.data}
    if result.extensions:
        body["extensions"] = result.extensions
    return Answer(OK, body)


def _is_variable_error(error: GraphQLError) -> bool:
    """Say whether execution did not start: graphql-core reports variables without a path and before any resolver."""
    cause = error.original_error
    return error.path is None and (cause is None or isinstance(cause, GraphQLError))


def _refused(*errors: dict[str, Any]) -> Answer:
    return Answer(BAD_REQUEST, {"errors": list(errors)})
