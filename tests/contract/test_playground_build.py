"""The built playground is the one that its sources give, and its examples are operations of our API."""

import json
from pathlib import Path

import pytest
from graphql import build_schema, coerce_input_value, parse, type_from_ast, validate
from graphql.language import OperationDefinitionNode

from tools import ui_build

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "server" / "ui" / "examples"
GROUPS = json.loads((EXAMPLES / "index.json").read_text())
ITEMS = [item for group in GROUPS for item in group["examples"]]


def test_the_build_is_of_these_sources():
    assert ui_build.differences() == []


def test_whatever_is_not_of_these_sources_is_found(tmp_path):
    sources, build = tmp_path / "ui", tmp_path / "built"
    for folder in (sources / "src", sources / "node_modules", build / "assets"):
        folder.mkdir(parents=True)
    (sources / "src" / "main.ts").write_text("1")
    (sources / "package-lock.json").write_text("{}")
    (build / "assets" / "a.js").write_text("1")
    assert ui_build.differences(sources, build) == [f"{build / 'build.json'} is missing"]
    ui_build.stamp(sources, build)
    (sources / "node_modules" / "x.js").write_text("1")
    assert ui_build.differences(sources, build) == []
    (sources / "package-lock.json").write_text("{ }")
    (sources / "src" / "other.ts").write_text("1")
    (sources / "src" / "main.ts").unlink()
    (build / "assets" / "a.js").write_text("2")
    assert ui_build.differences(sources, build) == [
        f"{sources / 'package-lock.json'} has changed",
        f"{sources / 'src/main.ts'} is missing",
        f"{sources / 'src/other.ts'} is new",
        f"{build / 'assets/a.js'} has changed",
    ]


def test_no_lock_file_names_a_registry():
    lock = json.loads((ROOT / "server" / "ui" / "package-lock.json").read_text())
    packages = {name: about for name, about in lock["packages"].items() if name}
    assert packages
    for name, about in packages.items():
        assert "resolved" not in about, name
        assert about["integrity"].startswith("sha512-"), name


def test_every_package_that_the_playground_asks_for_is_in_the_documentation():
    wanted = json.loads((ROOT / "server" / "ui" / "package.json").read_text())
    page = (ROOT / "docs" / "dependencies.md").read_text()
    for name in wanted["dependencies"] | wanted["devDependencies"]:
        assert name in page, name


@pytest.fixture(scope="module")
def schema():
    return build_schema((ROOT / "schema.graphql").read_text())


def test_the_index_names_every_example_once():
    assert sorted(item["file"] for item in ITEMS) == sorted(path.stem for path in EXAMPLES.glob("*.graphql"))


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item["file"])
def test_examples_are_operations_of_the_api(schema, item):
    document = parse((EXAMPLES / f"{item['file']}.graphql").read_text())
    assert validate(schema, document) == []
    (operation,) = document.definitions
    assert isinstance(operation, OperationDefinitionNode)
    assert operation.name.value == item["file"].replace("-", "_")
    declared = {definition.variable.name.value: definition for definition in operation.variable_definitions or ()}
    assert item["variables"].keys() == declared.keys()
    for name, value in item["variables"].items():
        coerce_input_value(value, type_from_ast(schema, declared[name].type))


def test_each_setting_of_create_flow_run_has_an_example(schema):
    text = "".join(path.read_text() for path in EXAMPLES.glob("*.graphql")) + json.dumps(GROUPS)
    optional = {
        "parameters",
        "flow_run_name",
        "scheduled_start_time",
        "idempotency_key",
        "flow_group_id",
        "labels",
        "context",
    }
    assert optional <= schema.type_map["create_flow_run_input"].fields.keys()
    assert [name for name in optional if name not in text] == []
    assert "flow_run_events" in text
