"""Takes the table fields of a query out of GraphQL's own execution and answers them with one SQL statement.

The JSON that PostgreSQL wrote goes out as it is: `data` holds an `orjson.Fragment` for each table field, so answers
have to be written with orjson. What stands beside table fields in the same operation (`hello`, `__schema`, …) is left
to GraphQL, and both are put together in written order. A value that cannot be used, and whatever the database says,
becomes an error of the answer; nothing is raised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from graphql import (
    DefinitionNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
)
from graphql import ExecutionResult as GraphQLExecutionResult
from graphql.execution.values import get_variable_values
from strawberry.extensions import SchemaExtension
from strawberry.types import ExecutionResult

from flowstead_server.compiler.context import Context
from flowstead_server.compiler.errors import CompileError, LimitError, TimeLimitError
from flowstead_server.compiler.statement import Compiled, compile_fields, is_table_field
from flowstead_server.compiler.values import with_defaults
from flowstead_server.domain.errors import BadInputError, DatabaseLimitError, StatementTimeoutError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from flowstead_server.compiler.context import Cut
    from flowstead_server.compiler.limits import Limits

_NULL = orjson.Fragment(b"null")


class TableQueries(SchemaExtension):
    """Answers the table fields of queries. Needs `RequestContext` as the context of the operation."""

    _cut: Sequence[Cut] = ()

    async def on_execute(self) -> AsyncIterator[None]:
        """Answer table fields before GraphQL executes the rest."""
        order: list[str] = []
        answered: dict[str, Any] = {}
        operation = self._operation()
        if operation is not None and operation.operation is OperationType.QUERY:
            try:
                order, answered = await self._answer(operation)
            except _InvalidVariablesError as invalid:
                self.execution_context.result = ExecutionResult(data=None, errors=invalid.errors)
            except CompileError as error:
                extensions = {"code": error.code, **error.data}
                wire_error = GraphQLError(error.message, path=error.path or None, extensions=extensions)
                self.execution_context.result = ExecutionResult(data=None, errors=[wire_error])
            except Exception as error:
                # becomes an error of the answer, and is masked there unless it is an expected one
                wire_error = GraphQLError(str(error), original_error=error)
                self.execution_context.result = ExecutionResult(data=None, errors=[wire_error])
        yield
        result = self.execution_context.result
        if answered and isinstance(result, GraphQLExecutionResult) and result.data is not None:
            merged = {**result.data, **answered}
            result.data = {key: merged[key] for key in order if key in merged}

    def get_results(self) -> dict[str, Any]:
        """What goes out as `extensions`: the lists that the server's own limit has cut, if there are any."""
        if not self._cut:
            return {}
        lists = ", ".join(f"{'.'.join(cut.path)} after {cut.rows} rows" for cut in self._cut)
        return {
            "row_limit": {
                "message": f"This server's limit ended {lists}; there may be more: ask with limit and offset.",
                "lists": [{"path": list(cut.path), "rows": cut.rows} for cut in self._cut],
            }
        }

    @property
    def _limits(self) -> Limits:
        # the schema is always ApiSchema, which imports this module
        schema: Any = self.execution_context.schema
        limits: Limits = schema.limits
        return limits

    def _operation(self) -> OperationDefinitionNode | None:
        name = self.execution_context.operation_name
        for definition in self._definitions():
            if isinstance(definition, OperationDefinitionNode) and (
                not name or (definition.name is not None and definition.name.value == name)
            ):
                return definition
        return None

    def _definitions(self) -> tuple[DefinitionNode, ...]:
        document = self.execution_context.graphql_document
        return () if document is None else document.definitions

    async def _answer(self, operation: OperationDefinitionNode) -> tuple[list[str], dict[str, Any]]:
        """Answer the table fields; returns the order of all fields, and the answers if GraphQL has to add to them.

        Raises:
            CompileError: a value in the query cannot be used.
            _InvalidVariablesError: the variables do not fit their types.
            FlowsteadError: the database cannot answer.
        """
        execution = self.execution_context
        tenant_id = execution.context.caller.tenant_id
        variables = with_defaults(operation.variable_definitions or (), execution.variables)
        fragments = {
            definition.name.value: definition
            for definition in self._definitions()
            if isinstance(definition, FragmentDefinitionNode)
        }
        limits = self._limits
        fields = Context(tenant_id, fragments, variables, limits).fields([operation.selection_set])
        tables = {key: nodes for key, nodes in fields.items() if is_table_field(nodes[0].name.value)}
        if not tables:
            return [], {}
        self._check_variables(operation)
        compiled = compile_fields(tables, tenant_id=tenant_id, fragments=fragments, variables=variables, limits=limits)
        answered = await self._read(compiled)
        if len(tables) == len(fields):
            execution.result = ExecutionResult(data=answered, errors=None)
            return [], {}
        others = [node for key, nodes in fields.items() if key not in tables for node in nodes]
        execution.graphql_document = _document_of(operation, others, fragments)
        return list(fields), answered

    def _check_variables(self, operation: OperationDefinitionNode) -> None:
        if not operation.variable_definitions:
            return
        schema: Any = self.execution_context.schema
        given = self.execution_context.variables or {}
        # strawberry offers no way to the schema of graphql-core
        checked = get_variable_values(schema._schema, operation.variable_definitions, given)  # noqa: SLF001
        if isinstance(checked, list):
            raise _InvalidVariablesError(checked)

    async def _read(self, compiled: Compiled) -> dict[str, Any]:
        try:
            value = await self.execution_context.context.database.read_value(compiled.sql, *compiled.arguments)
            texts = compiled.checked(value)
        except DatabaseLimitError as error:
            raise LimitError(
                f"The query is beyond a limit of the database: {error.reason}; ask for less at once.",
                {"limit": "database"},
            ) from error
        except StatementTimeoutError as error:
            path = compiled.keys if len(compiled.keys) == 1 else ()
            raise TimeLimitError(
                "The database stopped the query because it took too long; ask for less of it, or for fewer rows.",
                {"limit": "statement_timeout"},
                path,
            ) from error
        except BadInputError as error:
            # the database's own words say which value it is
            reason = str(error.__cause__ or error).splitlines()[0].rstrip(".")
            path = compiled.keys if len(compiled.keys) == 1 else ()
            raise CompileError(f"A value in the query cannot be used: {reason}.", path) from error
        self._cut = compiled.cut_lists(texts)
        return {
            key: _NULL if text is None else orjson.Fragment(text)
            for key, text in zip(compiled.keys, texts, strict=True)
        }


class _InvalidVariablesError(Exception):
    """Carries what graphql-core says about the variables, which are answered like its own findings."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__("The variables do not fit their types.")
        self.errors = errors


def _document_of(
    operation: OperationDefinitionNode, fields: list[FieldNode], fragments: Mapping[str, FragmentDefinitionNode]
) -> DocumentNode:
    """The operation with these fields only."""
    reduced = OperationDefinitionNode(
        operation=operation.operation,
        name=operation.name,
        variable_definitions=operation.variable_definitions,
        directives=operation.directives,
        selection_set=SelectionSetNode(selections=tuple(fields)),
    )
    return DocumentNode(definitions=(reduced, *fragments.values()))
