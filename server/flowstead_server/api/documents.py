"""Parsed and validated documents, kept for the next request that sends the same text.

Validation costs far more than the execution of a small mutation, and programs send the same few documents again and
again. Programs of 1.x also write ids into the document text, so that a text never comes twice: a text is therefore kept
only when it is seen for the second time. The cache is bounded by entries and by text (a parsed document takes up to two
hundred times the memory of its text), and holds no request data. A document beyond a limit is not validated, which
would be the expensive part.
"""

from collections import OrderedDict
from dataclasses import dataclass

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    OperationType,
    parse,
    validate,
)

from flowstead_server.api.document_limits import limit_errors
from flowstead_server.compiler.limits import Limits, limit_error

_MAX_ENTRIES = 500
_MAX_TEXT = 32_768
_MAX_ALL_TEXT = 262_144
_MAX_SEEN = 4_096
_DEFAULT_LIMITS = Limits()
# stands for a document that was not read to its end; it is never executed, but its kind is looked at
_NOT_READ = parse("{ __typename }", no_location=True)
_TOO_MANY_TOKENS = "Syntax Error: Document contains more than "


@dataclass(frozen=True, slots=True)
class PreparedDocument:
    """A document that was parsed and validated once."""

    document: DocumentNode
    errors: tuple[GraphQLError, ...]
    """Why it is not valid; empty if it is."""
    operations: tuple[tuple[str | None, OperationType], ...]
    """Name and kind of each operation in it."""

    @property
    def has_only_mutations(self) -> bool:
        """Whether there is nothing in it to query or subscribe to."""
        return all(kind is OperationType.MUTATION for _, kind in self.operations)

    def operation_type(self, name: str | None) -> OperationType:
        """Return the kind of the operation that a request means.

        Raises:
            GraphQLError: there is no such operation, or the request has to say which one it means.
        """
        if not name:
            if len(self.operations) == 1:
                return self.operations[0][1]
            raise GraphQLError(
                "The document contains several operations; say which one with operationName."
                if self.operations
                else "The document contains no operation."
            )
        for known, kind in self.operations:
            if known == name:
                return kind
        raise GraphQLError(f"The document contains no operation named {name!r}.")


class DocumentCache:
    """Prepares documents for one schema. Not shared between threads."""

    def __init__(
        self,
        schema: GraphQLSchema,
        max_entries: int = _MAX_ENTRIES,
        limits: Limits = _DEFAULT_LIMITS,
        max_text: int = _MAX_ALL_TEXT,
    ) -> None:
        self._schema = schema
        self._limits = limits
        self._max_entries = max_entries
        self._max_text = max_text
        self._text = 0
        self._prepared: OrderedDict[str, PreparedDocument] = OrderedDict()
        self._seen: OrderedDict[int, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._prepared)

    def prepare(self, text: str) -> PreparedDocument:
        """Parse and validate a document, or return what an earlier call found.

        Raises:
            GraphQLSyntaxError: the text is no GraphQL.
        """
        prepared = self._prepared.get(text)
        if prepared is not None:
            self._prepared.move_to_end(text)
            return prepared
        prepared = self._prepare(text)
        if self._is_worth_keeping(text):
            self._prepared[text] = prepared
            self._text += len(text)
            while len(self._prepared) > self._max_entries or self._text > self._max_text:
                forgotten, _ = self._prepared.popitem(last=False)
                self._text -= len(forgotten)
        return prepared

    def _prepare(self, text: str) -> PreparedDocument:
        most = self._limits.tokens
        try:
            # Positions cost memory in every node and are wanted only to point at mistakes.
            document = parse(text, no_location=True, max_lexical_tokens=most, max_comments=most)
            errors = limit_errors(document, self._limits)
            if not errors:
                errors = validate(self._schema, document)
                if errors:
                    errors = validate(self._schema, parse(text))
        except GraphQLSyntaxError as error:
            if not error.message.startswith(_TOO_MANY_TOKENS):
                raise
            # handed out as a finding, not raised: whoever asks must not go on to parse the text himself
            refusal = limit_error("tokens", most)
            finding = GraphQLError(refusal.message, extensions={"code": refusal.code, **refusal.data})
            return PreparedDocument(_NOT_READ, (finding,), ())
        except RecursionError:
            raise DocumentTooDeepError("The document is nested too deeply.") from None
        operations = tuple(
            (node.name.value if node.name else None, node.operation)
            for node in document.definitions
            if isinstance(node, OperationDefinitionNode)
        )
        return PreparedDocument(document, tuple(errors), operations)

    def _is_worth_keeping(self, text: str) -> bool:
        if len(text) > _MAX_TEXT:
            return False
        key = hash(text)
        if key in self._seen:
            del self._seen[key]
            return True
        self._seen[key] = None
        if len(self._seen) > _MAX_SEEN:
            self._seen.popitem(last=False)
        return False


class DocumentTooDeepError(GraphQLError):
    """A document that cannot be read because of its nesting; there is no single position to point at."""


def is_syntax_error(error: GraphQLError) -> bool:
    """Say whether an error means that the document could not be parsed."""
    return isinstance(error, GraphQLSyntaxError | DocumentTooDeepError)
