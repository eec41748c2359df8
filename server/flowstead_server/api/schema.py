"""The schema: table queries, mutations and subscriptions put together."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from typing import Any

import strawberry
from graphql import GraphQLError
from strawberry.extensions import SchemaExtension
from strawberry.extensions.runner import SchemaExtensionsRunner
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext, ExecutionResult, StreamExecutionResult

from flowstead_server.api.context import RequestContext
from flowstead_server.api.documents import DocumentCache, PreparedDocument
from flowstead_server.api.errors import WireError, execution_error, request_error
from flowstead_server.api.mutations.root import Mutation
from flowstead_server.api.scalars import SCALARS
from flowstead_server.api.subscriptions import Subscription
from flowstead_server.api.types.execution import TableQueries
from flowstead_server.api.types.query import Query
from flowstead_server.compiler.limits import Limits


class ApiSchema(strawberry.Schema):
    """The schema of the API, with the cache of its documents."""

    def __init__(self, *, limits: Limits, **options: Any) -> None:
        super().__init__(**options)
        self.limits = limits
        self.documents = DocumentCache(self._schema, limits=limits)

    def create_extensions_runner(
        self, execution_context: ExecutionContext, extensions: list[SchemaExtension]
    ) -> SchemaExtensionsRunner:
        """Return what runs the hooks of extensions; a mutation whose document is prepared needs none of them."""
        document = _document_of(execution_context)
        if document is None or not document.has_only_mutations:
            return super().create_extensions_runner(execution_context, extensions)
        execution_context.graphql_document = document.document
        execution_context.pre_execution_errors = list(document.errors)
        return _NoExtensions(execution_context, [])

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Log nothing here: expected errors are the client's business, and others are logged where they are masked."""


class _Nothing:
    """The hooks of a step at which no extension has anything to do."""

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *_: object) -> None:
        return None


class _NoExtensions(SchemaExtensionsRunner):
    """Runs no hooks, which for a small mutation cost as much as its execution."""

    def operation(self) -> Any:
        """Do nothing around the operation."""
        return _NOTHING

    def parsing(self) -> Any:
        """Do nothing around parsing."""
        return _NOTHING

    def validation(self) -> Any:
        """Do nothing around validation."""
        return _NOTHING

    def executing(self) -> Any:
        """Do nothing around execution."""
        return _NOTHING


_NOTHING = _Nothing()
_DEFAULT_LIMITS = Limits()


class PreparedDocuments(SchemaExtension):
    """Takes documents from the cache of the schema, and makes the errors of streamed results presentable."""

    _invalid = True

    def on_parse(self) -> Iterator[None]:
        """Put the parsed document where strawberry looks for it; a text that is no GraphQL is left to its parser."""
        context = self.execution_context
        if context.query and isinstance(context.schema, ApiSchema):
            with suppress(GraphQLError):
                prepared = _document_of(context) or context.schema.documents.prepare(context.query)
                context.graphql_document = prepared.document
                context.pre_execution_errors = list(prepared.errors)
                self._invalid = bool(prepared.errors)
        yield

    def on_stream_result(self, result: StreamExecutionResult) -> Iterator[None]:
        """Mask internal errors and give expected ones their code; over HTTP the executor does it."""
        if isinstance(result, ExecutionResult) and result.errors:
            present = request_error if self._invalid else execution_error
            result.errors = [_presented(error, present) for error in result.errors]
        yield


def _document_of(execution_context: ExecutionContext) -> PreparedDocument | None:
    """Return the document that was prepared before the execution, if it was."""
    context = execution_context.context
    return context.document if isinstance(context, RequestContext) else None


def _presented(error: GraphQLError, present: Callable[[GraphQLError], WireError]) -> GraphQLError:
    """Return an error whose plain formatting is what may leave."""
    answer = present(error)
    return GraphQLError(answer["message"], nodes=error.nodes, path=error.path, extensions=answer["extensions"])


@cache
def api_schema(limits: Limits = _DEFAULT_LIMITS) -> ApiSchema:
    """Return the schema with these limits; it is built once per process and limits."""
    return ApiSchema(
        limits=limits,
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        config=StrawberryConfig(auto_camel_case=False, scalar_map=SCALARS),
        extensions=[PreparedDocuments, TableQueries],
    )
