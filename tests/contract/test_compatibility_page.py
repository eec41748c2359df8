"""docs/compatibility.md names tests and mutations that exist."""

import ast
from pathlib import Path

from compatibility_page import implemented_mutations, named_tests
from graphql import parse
from interop_shapes import shape_of

ROOT = Path(__file__).resolve().parents[2]


def test_every_operation_of_1_4_1_has_a_row():
    numbers = [f"Q{number}" for number in range(1, 34)]
    numbers += [f"M{number}" for number in range(1, 23)] + [f"C{number}" for number in range(1, 18)]
    assert list(named_tests()) == numbers


def test_every_operation_of_1_4_1_has_a_test():
    assert [shape for shape, tests in named_tests().items() if not tests] == []


def test_the_tests_that_the_page_names_exist():
    files = (ROOT / "tests" / "interop").glob("test_*.py")
    existing = {
        item.name
        for file in files
        for item in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(item, ast.FunctionDef)
    }
    named = {name.partition("[")[0] for tests in named_tests().values() for name in tests}
    assert named - existing == set()


def test_the_mutations_that_the_page_calls_implemented_exist():
    document = parse((ROOT / "schema.graphql").read_text(encoding="utf-8"))
    (mutation,) = [
        item for item in document.definitions if getattr(getattr(item, "name", None), "value", "") == "Mutation"
    ]
    there = {field.name.value for field in mutation.fields}
    assert len(implemented_mutations()) >= 59
    assert implemented_mutations() - there == set()


def test_operations_are_known_by_their_text():
    assert shape_of("query{hello}") == "Q1"
    assert shape_of('query{flow_run_by_pk(id:"a\\"b"){serialized_state}}') == "Q20"
    assert shape_of("mutation($input:delete_project_input!){delete_project(input:$input){success}}") == "M3"
    assert shape_of("query{edge{id}}") is None
