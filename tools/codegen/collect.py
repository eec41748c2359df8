"""Turns checked operations into the generator's model: which classes, inputs and functions there will be.

Raises `CodegenError` for what GraphQL allows but the generated code does not offer (unions, unknown scalars, two
classes that would get one name).
"""

import keyword
from collections.abc import Iterable
from dataclasses import dataclass

from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLScalarType,
    GraphQLType,
    InlineFragmentNode,
    Node,
    OperationDefinitionNode,
    SelectionSetNode,
    TokenKind,
    get_named_type,
    is_abstract_type,
    is_input_type,
    type_from_ast,
)

from tools.codegen.documents import REQUIRED, Operations, place_of
from tools.codegen.errors import CodegenError, Problem
from tools.codegen.model import Argument, EnumClass, InputClass, Member, Module, Operation, Package, ResultClass
from tools.codegen.sending import document_text


@dataclass(frozen=True, slots=True)
class Scalar:
    """How a scalar looks in Python: in answers, its parser there ("" for none), and in arguments."""

    annotation: str
    parser: str
    argument: str


_TEXT = Scalar("str", "", "str")
_MOMENT = Scalar("datetime", "parse_datetime", "datetime | str")
SCALARS = {
    "String": _TEXT,
    "ID": _TEXT,
    "UUID": _TEXT,
    "uuid": _TEXT,
    "interval": _TEXT,
    "_uuid": _TEXT,
    "Int": Scalar("int", "", "int"),
    "bigint": Scalar("int", "int", "int | str"),
    "Float": Scalar("float", "", "float"),
    "Boolean": Scalar("bool", "", "bool"),
    "DateTime": _MOMENT,
    "timestamptz": _MOMENT,
    "JSON": Scalar("Any", "", "Any"),
    "jsonb": Scalar("Any", "", "Any"),
}
# Filters are trees over whole tables: typing them would drag every table into the client.
_FREE_INPUTS = ("_bool_exp", "_order_by", "_comparison_exp")


def pascal(name: str) -> str:
    """Return `CamelCase` for `snake_case`; capitals that are there already stay."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def python_name(name: str) -> str:
    """Return a name that may be an identifier in Python."""
    return f"{name}_" if keyword.iskeyword(name) else name


def _singular(name: str) -> str:
    return name[:-1] if name.endswith("s") and not name.endswith("ss") else name


def _comment_above(node: Node) -> str:
    assert node.loc is not None
    lines: list[str] = []
    token = node.loc.start_token.prev
    below = node.loc.start_token.line
    while token is not None and token.kind is TokenKind.COMMENT and token.line == below - 1:
        lines.append((token.value or "").strip())
        below, token = token.line, token.prev
    return " ".join(reversed(lines))


def _fail(node: Node, message: str) -> CodegenError:
    return CodegenError([Problem(place_of(node), message)])


@dataclass(slots=True)
class _Selected:
    """The fields of one response key, and whether the answer may leave the key out."""

    nodes: list[FieldNode]
    conditional: bool


class Collector:
    """Walks the operations of one package; `run` returns the model."""

    def __init__(self, checked: Operations) -> None:
        self._checked = checked
        self._package = Package()
        self._modules = {name: Module(name) for name in checked.operations}
        self._class_places: dict[str, Node] = {}
        self._fragment_classes: set[str] = set()

    def run(self) -> Package:
        """Return what is to be generated, in the order of the files."""
        for name, operations in self._checked.operations.items():
            for operation in operations:
                self._modules[name].operations.append(self._operation(name, operation))
        self._package.modules = list(self._modules.values())
        for name in self._class_places.keys() & (self._package.inputs.keys() | self._package.enums.keys()):
            raise _fail(
                self._class_places[name], f"the class {name} would hide an input or enum of that name: rename it"
            )
        return self._package

    def _operation(self, module: str, node: OperationDefinitionNode) -> Operation:
        assert node.name is not None
        name = node.name.value
        root = self._checked.schema.get_root_type(node.operation)
        assert root is not None, "validation checks the operation's kind"
        fields = self._fields(root, node.selection_set)
        uses: list[str] = []
        if len(fields) == 1:
            # One root field is the answer itself: nobody wants to write its name twice.
            [(key, selected)] = fields.items()
            annotation, expression = self._member(module, root, key, selected, pascal(name), uses, naming_root=True)
        else:
            annotation, expression = pascal(name), f"{pascal(name)}.from_wire(data)"
            self._result_class(module, pascal(name), f"The answer to `{name}`.", root, fields, node)
            uses.append(pascal(name))
        arguments, flattened = self._arguments(node)
        return Operation(
            name=name,
            kind=node.operation.value,
            about=_comment_above(node) or f"Send the {node.operation.value} `{name}`.",
            document=document_text(node, self._checked.fragments),
            arguments=tuple(arguments),
            flattened=flattened,
            result=annotation,
            parser=expression,
            uses=tuple(dict.fromkeys(uses)),
        )

    # results

    def _fields(self, parent: GraphQLObjectType, selection: SelectionSetNode) -> dict[str, _Selected]:
        collected: dict[str, _Selected] = {}
        self._gather(parent, selection, conditional=False, into=collected)
        return collected

    def _gather(
        self, parent: GraphQLObjectType, selection: SelectionSetNode, *, conditional: bool, into: dict[str, _Selected]
    ) -> None:
        for node in selection.selections:
            maybe = conditional or any(d.name.value in {"include", "skip"} for d in node.directives or ())
            if isinstance(node, FieldNode):
                key = node.alias.value if node.alias else node.name.value
                known = into.setdefault(key, _Selected([], maybe))
                known.nodes.append(node)
                known.conditional = known.conditional and maybe
            elif isinstance(node, FragmentSpreadNode):
                _, fragment = self._checked.fragments[node.name.value]
                self._gather(parent, fragment.selection_set, conditional=maybe, into=into)
            elif isinstance(node, InlineFragmentNode):
                if node.type_condition and node.type_condition.name.value != parent.name:
                    raise _fail(node, "fragments on another type than the selected one are not supported")
                self._gather(parent, node.selection_set, conditional=maybe, into=into)

    def _result_class(
        self,
        module: str,
        name: str,
        about: str,
        parent: GraphQLObjectType,
        fields: dict[str, _Selected],
        node: Node,
    ) -> None:
        if name in self._class_places:
            raise _fail(
                node,
                f"the class {name} is already made for {place_of(self._class_places[name])}: rename one of the two",
            )
        self._class_places[name] = node
        uses: list[str] = []
        members = []
        for key, selected in fields.items():
            annotation, expression = self._member(module, parent, key, selected, name, uses)
            members.append(Member(key, python_name(key), annotation, expression))
        # Classes that this one uses were appended by the recursion: the order of definition is the order of need.
        self._modules[module].classes.append(ResultClass(name, about, tuple(members), tuple(dict.fromkeys(uses))))

    def _member(
        self,
        module: str,
        parent: GraphQLObjectType,
        key: str,
        selected: _Selected,
        owner: str,
        uses: list[str],
        *,
        naming_root: bool = False,
    ) -> tuple[str, str]:
        node = selected.nodes[0]
        if node.name.value == "__typename":
            return "str", f'data["{key}"]'
        type_: GraphQLOutputType = parent.fields[node.name.value].type
        named = get_named_type(type_)
        if is_abstract_type(named):
            raise _fail(node, f"{key} is of the abstract type {named.name}, which is not supported")
        class_name = ""
        if isinstance(named, GraphQLObjectType):
            class_name = self._object(module, named, key, selected, owner, type_, naming_root=naming_root)
            uses.append(class_name)
        elif isinstance(named, GraphQLEnumType):
            class_name = self._enum(named)
            uses.append(class_name)
        value = f'data.get("{key}")' if selected.conditional else f'data["{key}"]'
        required = any(d.name.value == REQUIRED for item in selected.nodes for d in item.directives or ())
        if required:
            place = key if naming_root else f"{owner}.{key}"
            value = f'required({value}, "{place}")'
        nullable = selected.conditional or not isinstance(type_, GraphQLNonNull)
        inner = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
        annotation = self._annotation(inner, class_name, node)
        if nullable and not required:
            parser = self._parser(inner, class_name)
            expression = f"optional({value}, {parser})" if parser else value
            return (annotation if annotation == "Any" else f"{annotation} | None"), expression
        return annotation, self._apply(inner, class_name, value)

    def _object(
        self,
        module: str,
        named: GraphQLObjectType,
        key: str,
        selected: _Selected,
        owner: str,
        type_: GraphQLType,
        *,
        naming_root: bool,
    ) -> str:
        sets = [node.selection_set for node in selected.nodes if node.selection_set]
        only = sets[0].selections[0] if len(sets) == 1 and len(sets[0].selections) == 1 else None
        if isinstance(only, FragmentSpreadNode) and not only.directives:
            return self._fragment(only.name.value)
        is_list = isinstance(type_.of_type if isinstance(type_, GraphQLNonNull) else type_, GraphQLList)
        class_name = owner if naming_root else owner + pascal(_singular(key) if is_list else key)
        fields: dict[str, _Selected] = {}
        for selection in sets:
            self._gather(named, selection, conditional=False, into=fields)
        about = (
            f"A part of the answer to `{selected.nodes[0].name.value}`." if naming_root else f"`{key}` of `{owner}`."
        )
        self._result_class(module, class_name, about, named, fields, selected.nodes[0])
        return class_name

    def _fragment(self, fragment_name: str) -> str:
        module, fragment = self._checked.fragments[fragment_name]
        class_name = pascal(fragment_name)
        if class_name not in self._fragment_classes:
            self._fragment_classes.add(class_name)
            on = self._checked.schema.get_type(fragment.type_condition.name.value)
            if not isinstance(on, GraphQLObjectType):
                raise _fail(
                    fragment, f"the fragment is on {fragment.type_condition.name.value}, which is no object type"
                )
            about = _comment_above(fragment) or f"A part of a `{on.name}`."
            self._result_class(module, class_name, about, on, self._fields(on, fragment.selection_set), fragment)
        return class_name

    def _enum(self, type_: GraphQLEnumType) -> str:
        name = pascal(type_.name)
        self._package.enums[name] = EnumClass(name, f"The GraphQL enum `{type_.name}`.", tuple(type_.values))
        return name

    def _scalar(self, type_: GraphQLScalarType, node: Node) -> Scalar:
        if type_.name not in SCALARS:
            raise _fail(node, f"the scalar {type_.name} is unknown: add it to SCALARS in tools/codegen/collect.py")
        return SCALARS[type_.name]

    def _annotation(self, type_: GraphQLType, class_name: str, node: Node) -> str:
        if isinstance(type_, GraphQLList):
            inner = type_.of_type
            if isinstance(inner, GraphQLNonNull):
                return f"tuple[{self._annotation(inner.of_type, class_name, node)}, ...]"
            return f"tuple[{self._annotation(inner, class_name, node)} | None, ...]"
        if isinstance(type_, GraphQLScalarType):
            return self._scalar(type_, node).annotation
        return class_name

    def _parser(self, type_: GraphQLType, class_name: str) -> str:
        """Return an expression for a function of a value that is not null; "" if the value stays as it is."""
        if isinstance(type_, GraphQLList):
            return f"lambda value: {self._apply(type_, class_name, 'value')}"
        if isinstance(type_, GraphQLScalarType):
            return SCALARS[type_.name].parser
        return f"{class_name}.from_wire" if isinstance(type_, GraphQLObjectType) else class_name

    def _apply(self, type_: GraphQLType, class_name: str, value: str) -> str:
        """Return an expression that parses `value`, which is not null."""
        if isinstance(type_, GraphQLList):
            inner = type_.of_type
            if isinstance(inner, GraphQLNonNull):
                parser = self._parser(inner.of_type, class_name)
            else:
                parser = self._parser(inner, class_name)
                parser = parser and f"lambda item: optional(item, {parser})"
            return f"many({value}, {parser})" if parser else f"tuple({value})"
        parser = self._parser(type_, class_name)
        return f"{parser}({value})" if parser else value

    # arguments

    def _arguments(self, node: OperationDefinitionNode) -> tuple[list[Argument], bool]:
        variables = list(node.variable_definitions or ())
        if len(variables) == 1 and variables[0].variable.name.value == "input":
            type_ = type_from_ast(self._checked.schema, variables[0].type)
            named = get_named_type(type_)
            if isinstance(type_, GraphQLNonNull) and isinstance(named, GraphQLInputObjectType):
                return list(self._input_fields(named, node)), True
        arguments = []
        for definition in variables:
            type_ = type_from_ast(self._checked.schema, definition.type)
            assert is_input_type(type_), "validation checks the types of variables"
            optional = definition.default_value is not None or not isinstance(type_, GraphQLNonNull)
            arguments.append(self._argument(definition.variable.name.value, type_, optional=optional, node=definition))
        return arguments, False

    def _input_fields(self, type_: GraphQLInputObjectType, node: Node) -> Iterable[Argument]:
        for key, field in type_.fields.items():
            optional = not isinstance(field.type, GraphQLNonNull) or field.default_value is not None
            yield self._argument(key, field.type, optional=optional, node=node)

    def _argument(self, key: str, type_: GraphQLInputType, *, optional: bool, node: Node) -> Argument:
        annotation, nested = self._argument_annotation(type_, node)
        return Argument(key, python_name(key), annotation, optional, nested)

    def _argument_annotation(self, type_: GraphQLInputType, node: Node) -> tuple[str, bool]:
        if isinstance(type_, GraphQLNonNull):
            return self._concrete_annotation(type_.of_type, node)
        annotation, nested = self._concrete_annotation(type_, node)
        return (annotation if annotation == "Any" else f"{annotation} | None"), nested

    def _concrete_annotation(self, type_: GraphQLInputType, node: Node) -> tuple[str, bool]:
        if isinstance(type_, GraphQLList):
            inner, nested = self._argument_annotation(type_.of_type, node)
            return f"Sequence[{inner}]", nested
        if isinstance(type_, GraphQLScalarType):
            return self._scalar(type_, node).argument, False
        if isinstance(type_, GraphQLEnumType):
            return f"{self._enum(type_)} | str", False
        assert isinstance(type_, GraphQLInputObjectType)
        if type_.name.endswith(_FREE_INPUTS):
            return "Mapping[str, Any]", False
        name = pascal(type_.name)
        if name not in self._package.inputs:
            placeholder = InputClass(name, type_.name, "", ())
            self._package.inputs[name] = placeholder  # a type may contain itself
            about = type_.description or f"The GraphQL input `{type_.name}`."
            fields = tuple(sorted(self._input_fields(type_, node), key=lambda field: field.optional))
            del self._package.inputs[name]  # so that what it uses comes before it
            self._package.inputs[name] = InputClass(name, type_.name, about, fields)
        return f"{name} | Mapping[str, Any]", True


def collect(checked: Operations) -> Package:
    """Return the model of all operations; raises `CodegenError`."""
    return Collector(checked).run()
