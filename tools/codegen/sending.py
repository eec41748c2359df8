"""The text of an operation as it is sent: with the fragments it uses, without what only the generator understands."""

from collections.abc import Mapping

from graphql import (
    REMOVE,
    DirectiveNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    Node,
    OperationDefinitionNode,
    Visitor,
    VisitorAction,
    print_ast,
    visit,
)

from tools.codegen.documents import REQUIRED


class _StripClientDirectives(Visitor):
    def enter_directive(self, node: DirectiveNode, *_: object) -> VisitorAction:
        return REMOVE if node.name.value == REQUIRED else None


class _Spreads(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def enter_fragment_spread(self, node: FragmentSpreadNode, *_: object) -> None:
        self.names.append(node.name.value)


def _used(node: Node, fragments: Mapping[str, tuple[str, FragmentDefinitionNode]]) -> dict[str, FragmentDefinitionNode]:
    found: dict[str, FragmentDefinitionNode] = {}
    waiting: list[Node] = [node]
    while waiting:
        spreads = _Spreads()
        visit(waiting.pop(), spreads)
        for name in spreads.names:
            if name not in found:
                found[name] = fragments[name][1]
                waiting.append(found[name])
    return found


def document_text(node: OperationDefinitionNode, fragments: Mapping[str, tuple[str, FragmentDefinitionNode]]) -> str:
    """Return the operation and its fragments as GraphQL text."""
    nodes: list[Node] = [node, *_used(node, fragments).values()]
    return "\n\n".join(print_ast(visit(item, _StripClientDirectives())) for item in nodes)
