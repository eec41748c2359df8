"""The schema: table queries, mutations and subscriptions put together."""

from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import Any

import strawberry
from graphql import GraphQLError
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.types import StreamExecutionResult

from flowstead_server.api.documents import DocumentCache
from flowstead_server.api.errors import as_graphql_errors
from flowstead_server.api.mutations.root import Mutation
from flowstead_server.api.scalars import SCALARS
from flowstead_server.api.subscriptions import Subscription
from flowstead_server.api.types.execution import TableQueries
from flowstead_server.api.types.query import Query


class ApiSchema(strawberry.Schema):
    """The schema of the API, with the cache of its documents."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.documents = DocumentCache(self._schema)


class PreparedDocuments(SchemaExtension):
    """Takes parsed and validated documents from the cache of the schema."""

    def on_parse(self) -> Iterator[None]:
        """Put the parsed document where strawberry looks for it; a text that is no GraphQL is left to its parser."""
        context = self.execution_context
        if context.query and isinstance(context.schema, ApiSchema):
            with suppress(GraphQLError):
                prepared = context.schema.documents.prepare(context.query)
                context.graphql_document = prepared.document
                context.pre_execution_errors = list(prepared.errors)
        yield


class PresentableErrors(SchemaExtension):
    """Makes the errors of results that leave over a websocket presentable; over HTTP the executor does it."""

    def on_stream_result(self, result: StreamExecutionResult) -> Iterator[None]:
        """Replace internal errors by masked ones, and give expected ones their code."""
        errors = getattr(result, "errors", None)
        if errors:
            result.errors = as_graphql_errors(errors)  # type: ignore[union-attr]  # incremental results never occur
        yield


@cache
def api_schema() -> ApiSchema:
    """Return the schema; it is built once per process."""
    return ApiSchema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        config=StrawberryConfig(auto_camel_case=False, scalar_map=SCALARS),
        extensions=[PreparedDocuments, TableQueries, PresentableErrors],
    )
