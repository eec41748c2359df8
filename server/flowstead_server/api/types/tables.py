"""The types of every table: rows, filters, orders, aggregates, with the names that 1.x documents use.

Made once at import from the catalog. None of the fields has a resolver: the compiler answers whole selections.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowstead_server.api.types.builder import (
    add_fields,
    argument,
    declare,
    enumeration,
    input_field,
    listed,
    optional,
    output_field,
)
from flowstead_server.api.types.comparisons import COMPARISONS, ORDER_BY
from flowstead_server.api.types.scalars import SCALARS, UUID_ARRAY
from flowstead_server.compiler.catalog import CATALOG, Column, Function, Scalar, Table

if TYPE_CHECKING:
    from strawberry.types.arguments import StrawberryArgument
    from strawberry.types.field import StrawberryField

STATISTICS = {
    "avg": "Average",
    "stddev": "Standard deviation",
    "stddev_pop": "Population standard deviation",
    "stddev_samp": "Sample standard deviation",
    "sum": "Sum",
    "var_pop": "Population variance",
    "var_samp": "Sample variance",
    "variance": "Variance",
}
"""The aggregates of numeric columns and what to call them."""

EXTREMES = {"max": "Greatest value", "min": "Least value"}
"""The aggregates of ordered columns and what to call them."""


@dataclass(frozen=True, slots=True)
class _Types:
    """The types of one table that other tables refer to."""

    row: Any
    bool_exp: Any
    order_by: Any
    select_column: Any
    aggregate: Any
    aggregate_order_by: Any


def _declare(table: Table) -> _Types:
    name = table.name
    return _Types(
        row=declare(name, table.description),
        bool_exp=declare(f"{name}_bool_exp", f"Conditions on rows of `{name}`; all members must hold.", is_input=True),
        order_by=declare(f"{name}_order_by", f"How to sort rows of `{name}`: members in written order.", is_input=True),
        select_column=enumeration(
            f"{name}_select_column",
            f"A column of `{name}`.",
            [(column.name, column.description) for column in table.columns.values()],
        ),
        aggregate=declare(f"{name}_aggregate", f"Figures over rows of `{name}`, and the rows themselves."),
        aggregate_order_by=declare(
            f"{name}_aggregate_order_by", f"How to sort by figures over related rows of `{name}`.", is_input=True
        ),
    )


_TYPES = {name: _declare(table) for name, table in CATALOG.tables.items()}


def _selection_arguments(name: str) -> list[StrawberryArgument]:
    types = _TYPES[name]
    return [
        argument(
            "distinct_on",
            optional(listed(types.select_column)),
            "Keep the first row of those with equal values here; these columns must lead order_by.",
        ),
        argument("limit", optional(int), "Return at most this many rows."),
        argument("offset", optional(int), "Leave out this many rows first."),
        argument(
            "order_by",
            optional(listed(types.order_by)),
            "Sort the rows; nulls come last in asc, first in desc.",
        ),
        argument("where", optional(types.bool_exp), "Return only rows for which this holds."),
    ]


def _column_field(column: Column) -> StrawberryField:
    of = SCALARS[column.scalar]
    arguments = []
    if column.scalar is Scalar.JSONB:
        arguments.append(
            argument("path", optional(str), "Return only what is at this path inside the value, such as $.a.b[0].")
        )
    return output_field(column.name, optional(of) if column.nullable else of, column.description, arguments)


def _fill_row(table: Table) -> None:
    fields = [_column_field(column) for column in table.columns.values()]
    for relationship in table.relationships.values():
        target = _TYPES[relationship.target]
        if not relationship.is_array:
            of = optional(target.row) if relationship.nullable else target.row
            fields.append(output_field(relationship.name, of, relationship.description))
            continue
        fields.append(
            output_field(
                relationship.name,
                listed(target.row),
                relationship.description,
                _selection_arguments(relationship.target),
            )
        )
        fields.append(
            output_field(
                f"{relationship.name}_aggregate",
                target.aggregate,
                f"Figures over: {relationship.description}",
                _selection_arguments(relationship.target),
            )
        )
    add_fields(_TYPES[table.name].row, fields)


def _fill_bool_exp(table: Table) -> None:
    own = _TYPES[table.name].bool_exp
    fields = [
        input_field("_and", listed(own), "All of these must hold; an empty list holds."),
        input_field("_not", own, "This must not hold."),
        input_field("_or", listed(own), "One of these must hold; an empty list never holds."),
    ]
    fields += [
        input_field(column.name, COMPARISONS[column.scalar], f"Compares `{column.name}`. {column.description}")
        for column in table.columns.values()
    ]
    fields += [
        input_field(
            relationship.name,
            _TYPES[relationship.target].bool_exp,
            f"{'One of the related rows' if relationship.is_array else 'The related row'} exists and matches. "
            f"{relationship.description}",
        )
        for relationship in table.relationships.values()
    ]
    add_fields(own, fields)


def _fill_order_by(table: Table) -> None:
    fields = [
        input_field(column.name, ORDER_BY, f"Sorts by `{column.name}`. {column.description}")
        for column in table.columns.values()
    ]
    for relationship in table.relationships.values():
        target = _TYPES[relationship.target]
        if relationship.is_array:
            fields.append(
                input_field(
                    f"{relationship.name}_aggregate",
                    target.aggregate_order_by,
                    f"Sorts by figures over: {relationship.description}",
                )
            )
        else:
            fields.append(
                input_field(relationship.name, target.order_by, f"Sorts by the related row. {relationship.description}")
            )
    add_fields(_TYPES[table.name].order_by, fields)


def _figures(table: Table, function: str, label: str, columns: list[Column]) -> tuple[Any, Any]:
    """The output type and the order type of one aggregate function over a table."""
    output = declare(f"{table.name}_{function}_fields", f"{label} of each column of `{table.name}`.")
    order = declare(
        f"{table.name}_{function}_order_by",
        f"Sorts by the {label.lower()} of a column of `{table.name}`.",
        is_input=True,
    )
    keeps_type = function in EXTREMES or function == "sum"
    add_fields(
        output,
        [
            output_field(
                column.name,
                optional(SCALARS[column.scalar if keeps_type else Scalar.FLOAT]),
                f"{label} of `{column.name}`; null over no rows.",
            )
            for column in columns
        ],
    )
    add_fields(
        order,
        [input_field(column.name, ORDER_BY, f"{label} of `{column.name}`.") for column in columns],
    )
    return output, order


def _fill_aggregate(table: Table) -> None:
    types = _TYPES[table.name]
    fields_type = declare(f"{table.name}_aggregate_fields", f"Figures over rows of `{table.name}`.")
    fields = [
        output_field(
            "count",
            int,
            "How many rows there are.",
            [
                argument(
                    "columns",
                    optional(listed(types.select_column)),
                    "Count only rows in which all of these columns have a value.",
                ),
                argument("distinct", optional(bool), "Count different values of the columns instead of rows."),
            ],
        )
    ]
    order_fields = [input_field("count", ORDER_BY, "How many related rows there are.")]
    functions = [(name, label, table.ordered_columns) for name, label in EXTREMES.items()]
    functions += [(name, label, table.numeric_columns) for name, label in STATISTICS.items()]
    for function, label, columns in functions:
        if not columns:
            continue
        output, order = _figures(table, function, label, columns)
        fields.append(output_field(function, optional(output), f"{label} of each column."))
        order_fields.append(input_field(function, order, f"{label} of a column."))
    add_fields(fields_type, fields)
    add_fields(types.aggregate_order_by, order_fields)
    add_fields(
        types.aggregate,
        [
            output_field("aggregate", optional(fields_type), "The figures."),
            output_field("nodes", listed(types.row), "The rows that the figures are over."),
        ],
    )


for _table in CATALOG.tables.values():
    _fill_row(_table)
    _fill_bool_exp(_table)
    _fill_order_by(_table)
    _fill_aggregate(_table)


def filter_of(name: str) -> Any:
    """The filter type of a table, whose values reach resolvers as the members that were given."""
    found = _TYPES[name].bool_exp
    found.__strawberry_definition__.from_input = lambda _type, members, _context: members
    return found


def _function_fields(function: Function) -> list[StrawberryField]:
    types = _TYPES[function.target]
    args = declare(f"{function.name}_args", f"Arguments of `{function.name}`.", is_input=True)
    add_fields(
        args,
        [
            # the only text that functions take is such a list
            input_field(
                column.name,
                UUID_ARRAY if column.scalar is Scalar.STRING else SCALARS[column.scalar],
                column.description,
            )
            for column in function.arguments
        ],
    )
    arguments = [argument("args", args, "What the function is given."), *_selection_arguments(function.target)]
    name, text = function.name, function.description
    return [
        output_field(name, listed(types.row), text, arguments),
        output_field(f"{name}_aggregate", types.aggregate, f"Figures over: {text}", arguments),
    ]


def root_fields() -> list[StrawberryField]:
    """The fields of the query root: for each table its rows, its figures and one row by primary key; functions."""
    fields = [field for function in CATALOG.functions.values() for field in _function_fields(function)]
    for table in CATALOG.tables.values():
        types = _TYPES[table.name]
        fields.append(
            output_field(
                table.name,
                listed(types.row),
                f"Rows of `{table.name}`. {table.description}",
                _selection_arguments(table.name),
            )
        )
        fields.append(
            output_field(
                f"{table.name}_aggregate",
                types.aggregate,
                f"Figures over rows of `{table.name}`. {table.description}",
                _selection_arguments(table.name),
            )
        )
        if table.primary_key:
            fields.append(
                output_field(
                    f"{table.name}_by_pk",
                    optional(types.row),
                    f"One row of `{table.name}`, or null. {table.description}",
                    [
                        argument(key, SCALARS[table.columns[key].scalar], table.columns[key].description)
                        for key in table.primary_key
                    ],
                )
            )
    return fields
