"""How large an operation is once its fragments are expanded, and the refusal of one that is too large.

Runs between parsing and validation: validation itself takes time that grows with the square of what an attacker
repeats. Sizes of fragments are computed once each, so a document whose fragments multiply each other is measured in
the time that it takes to read it. Undefined and circular fragments count nothing: validation reports them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    OperationDefinitionNode,
)

from flowstead_server.compiler.errors import LimitError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from graphql import SelectionSetNode

    from flowstead_server.compiler.limits import Limits

INTROSPECTION_DISABLED = "INTROSPECTION_DISABLED"
_INTROSPECTION = {"__schema", "__type"}


def limit_errors(document: DocumentNode, limits: Limits) -> list[GraphQLError]:
    """What is too large in a document, and introspection where it is switched off; an empty list if nothing is.

    Raises:
        RecursionError: the document is nested so deeply that it cannot be walked.
    """
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    measure = _Measure(fragments)
    try:
        for node in document.definitions:
            if isinstance(node, OperationDefinitionNode):
                _check(node, measure, limits)
        if not limits.introspection and any(_asks_for_the_schema(node) for node in document.definitions):
            return [
                GraphQLError(
                    "Introspection is switched off on this server; schema.graphql describes the API.",
                    extensions={"code": INTROSPECTION_DISABLED},
                )
            ]
    except LimitError as error:
        return [GraphQLError(error.message, extensions={"code": error.code, **error.data})]
    return []


def _check(operation: OperationDefinitionNode, measure: _Measure, limits: Limits) -> None:
    size = measure.of(operation.selection_set)
    limits.check("depth", size.depth)
    limits.check("fields", size.fields)
    limits.check("aliases", size.aliases)
    roots, repeated = measure.root_fields(operation.selection_set)
    limits.check("root_fields", roots)
    limits.check("repeated_fields", repeated + measure.repeated_below(operation.selection_set))


def _asks_for_the_schema(definition: Any) -> bool:
    selections = definition.selection_set.selections if hasattr(definition, "selection_set") else ()
    waiting = [*selections]
    while waiting:
        node = waiting.pop()
        if isinstance(node, FieldNode):
            if node.name.value in _INTROSPECTION:
                return True
        elif not isinstance(node, FragmentSpreadNode):
            waiting += node.selection_set.selections
    return False


@dataclass(frozen=True, slots=True)
class _Size:
    """Levels of nesting, fields and aliases of a selection with its fragments expanded."""

    depth: int = 0
    fields: int = 0
    aliases: int = 0


@dataclass(slots=True)
class _Measure:
    fragments: Mapping[str, FragmentDefinitionNode]
    _known: dict[str, _Size] = field(default_factory=dict)

    def of(self, selection_set: SelectionSetNode | None) -> _Size:
        depth = fields = aliases = 0
        for node in selection_set.selections if selection_set is not None else ():
            if isinstance(node, FragmentSpreadNode):
                size = self._of_fragment(node.name.value)
            else:
                size = self.of(node.selection_set)  # type: ignore[attr-defined]  # fields and inline fragments have one
            if isinstance(node, FieldNode):
                size = _Size(size.depth + 1, size.fields + 1, size.aliases + (node.alias is not None))
            depth = max(depth, size.depth)
            fields += size.fields
            aliases += size.aliases
        return _Size(depth, fields, aliases)

    def _of_fragment(self, name: str) -> _Size:
        known = self._known.get(name)
        if known is None:
            # what a circular fragment finds of itself
            self._known[name] = _Size()
            if name in self.fragments:
                self._known[name] = self.of(self.fragments[name].selection_set)
        return self._known[name]

    def root_fields(self, selection_set: SelectionSetNode) -> tuple[int, int]:
        """How many different root fields there are, and how many are written again under the same response key."""
        keys = Counter(_key(node) for node in self._flat(selection_set, set()))
        return len(keys), keys.total() - len(keys)

    def repeated_below(self, selection_set: SelectionSetNode) -> int:
        """How many fields below the root repeat a response key of their level. Only for what `fields` has bounded."""
        repeated = 0
        waiting: list[tuple[SelectionSetNode, frozenset[str]]] = [(selection_set, frozenset())]
        while waiting:
            current, around = waiting.pop()
            seen = set(around)
            for node in self._flat(current, seen):
                if node.selection_set is not None:
                    keys = Counter(_key(inner) for inner in self._flat(node.selection_set, set(seen)))
                    repeated += keys.total() - len(keys)
                    waiting.append((node.selection_set, frozenset(seen)))
        return repeated

    def _flat(self, selection_set: SelectionSetNode, seen: set[str]) -> Iterator[FieldNode]:
        """The fields of one level; `seen` holds the fragments that are not to be expanded again, and gets more."""
        for node in selection_set.selections:
            if isinstance(node, FieldNode):
                yield node
            elif not isinstance(node, FragmentSpreadNode):
                yield from self._flat(node.selection_set, seen)  # type: ignore[attr-defined]  # an inline fragment
            elif node.name.value in self.fragments and node.name.value not in seen:
                seen.add(node.name.value)
                yield from self._flat(self.fragments[node.name.value].selection_set, seen)


def _key(node: FieldNode) -> str:
    return node.alias.value if node.alias else node.name.value
