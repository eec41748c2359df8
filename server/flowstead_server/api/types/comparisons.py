"""The comparison types of `where`: `uuid_comparison_exp`, `String_comparison_exp` and their like, and `order_by`."""

from __future__ import annotations

from typing import Any

from flowstead_server.api.types.builder import add_fields, declare, enumeration, input_field, listed
from flowstead_server.api.types.scalars import SCALARS
from flowstead_server.compiler.catalog import Scalar

ORDER_BY = enumeration(
    "order_by",
    "A direction to sort in, and where nulls go.",
    [
        ("asc", "Ascending, nulls last."),
        ("asc_nulls_first", "Ascending, nulls first."),
        ("asc_nulls_last", "Ascending, nulls last."),
        ("desc", "Descending, nulls first."),
        ("desc_nulls_first", "Descending, nulls first."),
        ("desc_nulls_last", "Descending, nulls last."),
    ],
)

_EVERY_SCALAR = [
    ("_eq", False, "Equal to the value."),
    ("_neq", False, "Different from the value; a null never matches."),
    ("_gt", False, "Greater than the value."),
    ("_gte", False, "Greater than the value, or equal to it."),
    ("_lt", False, "Less than the value."),
    ("_lte", False, "Less than the value, or equal to it."),
    ("_in", True, "Equal to one of the values; an empty list matches nothing."),
    ("_nin", True, "Different from each of the values; an empty list matches everything."),
]

_TEXT = [
    ("_like", "Matches a pattern with % for any text and _ for any character."),
    ("_nlike", "Does not match the pattern."),
    ("_ilike", "Matches a pattern, upper and lower case alike."),
    ("_nilike", "Does not match the pattern, upper and lower case alike."),
    ("_similar", "Matches an SQL regular expression."),
    ("_nsimilar", "Does not match the SQL regular expression."),
    ("_regex", "Matches a POSIX regular expression."),
    ("_nregex", "Does not match the POSIX regular expression."),
    ("_iregex", "Matches a POSIX regular expression, upper and lower case alike."),
    ("_niregex", "Does not match the POSIX regular expression, upper and lower case alike."),
]


def _comparison(scalar: Scalar) -> Any:
    declared = declare(
        f"{scalar.value}_comparison_exp",
        f"Compares a {scalar.value} column; several members must all hold, and a member that is null is left out.",
        is_input=True,
    )
    value = SCALARS[scalar]
    fields = [input_field(name, listed(value) if is_list else value, text) for name, is_list, text in _EVERY_SCALAR]
    fields.append(input_field("_is_null", bool, "Whether the column is null."))
    if scalar is Scalar.STRING:
        fields += [input_field(name, str, text) for name, text in _TEXT]
    add_fields(declared, fields)
    return declared


COMPARISONS: dict[Scalar, Any] = {scalar: _comparison(scalar) for scalar in Scalar if scalar is not Scalar.FLOAT}

_CAST = declare("jsonb_cast_exp", "Compares a jsonb column as another type.", is_input=True)
add_fields(_CAST, [input_field("String", COMPARISONS[Scalar.STRING], "Compares the column's JSON text.")])

add_fields(
    COMPARISONS[Scalar.JSONB],
    [
        input_field("_contains", SCALARS[Scalar.JSONB], "The column contains the value."),
        input_field("_contained_in", SCALARS[Scalar.JSONB], "The value contains the column."),
        input_field("_has_key", str, "The object has the key, or the list the string."),
        input_field("_has_keys_any", listed(str), "The object has one of the keys, or the list one of the strings."),
        input_field("_has_keys_all", listed(str), "The object has all of the keys, or the list all of the strings."),
        input_field("_cast", _CAST, "Compares the column as another type."),
    ],
)
