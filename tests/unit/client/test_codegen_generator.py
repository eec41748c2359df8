"""The generator on small schemas: what it writes, and how it says what is wrong."""

import importlib.util
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

SCHEMA = """
scalar UUID
scalar DateTime
scalar JSON
enum kind { BIG small }
type owner { id: UUID! name: String }
type thing {
  id: UUID!
  name: String
  kind: kind
  made: DateTime
  tags: [String!]
  info: JSON
  parts: [thing!]!
  owner: owner!
}
"A thing to make."
input thing_input { name: String! kind: kind made: DateTime info: JSON parts: [thing_input!] }
type Query { things(kind: kind, limit: Int): [thing!]! thing(id: UUID!): thing hello: String }
type Mutation { make(input: thing_input!): thing }
type Subscription { made(after: String): thing! }
union either = thing | owner
extend type Query { any: either }
"""


@pytest.fixture
def codegen(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    import tools.codegen.__main__ as main

    return main


@pytest.fixture
def project(tmp_path, codegen, capsys):
    """Write a schema and operations, run the generator, and return its exit code and errors."""

    class Project:
        output = tmp_path / "out"

        def run(self, *arguments, schema=SCHEMA, **operations):
            folder = tmp_path / "operations"
            folder.mkdir(exist_ok=True)
            (tmp_path / "schema.graphql").write_text(schema)
            for name, text in operations.items():
                (folder / f"{name}.graphql").write_text(text)
            places = {"--schema": tmp_path / "schema.graphql", "--operations": folder, "--output": self.output}
            code = codegen.main([*arguments, *(str(item) for pair in places.items() for item in pair)])
            return code, capsys.readouterr().err.splitlines()

        def load(self, name):
            path = self.output / f"{name}.py"
            spec = importlib.util.spec_from_file_location(f"prefect._generated.{name}", path)
            module = importlib.util.module_from_spec(spec)
            monkey.setitem(sys.modules, f"prefect._generated.{name}", module)
            spec.loader.exec_module(module)
            return module

    with pytest.MonkeyPatch.context() as monkey:
        yield Project()


def test_results_arguments_aliases_and_fragments(project):
    code, errors = project.run(
        things="""
        # Return things.
        query things($kind: kind, $limit: Int = 3) {
          things(kind: $kind, limit: $limit) {
            ...row
            first: parts { id }
            mother: owner @required { who: name @required }
            shown: name @include(if: true)
          }
        }
        fragment row on thing { id kind made tags info }
        query only_rows($id: UUID!) { thing(id: $id) { ...row } }
        """
    )
    assert (code, errors) == (0, [])
    project.load("enums")
    things = project.load("things")
    request = things.things(limit=None)
    assert (request.name, request.kind, request.variables) == ("things", "query", {"limit": None})
    assert "@required" not in request.document
    assert things.things.__doc__ == "Return things."
    row = {"id": "1", "kind": "small", "made": "2026-01-01T00:00:00", "tags": None, "info": {"a": 1}}
    [parsed] = request.parse({"things": [{**row, "first": [{"id": "2"}], "mother": {"who": "x"}}]})
    assert parsed.kind == "small"
    assert parsed.made == datetime(2026, 1, 1, tzinfo=UTC)
    assert parsed.first == (things.ThingsFirst(id="2"),)
    assert parsed.mother.who == "x"
    assert parsed.shown is None
    assert things.only_rows(id="1").parse({"thing": row}).info == {"a": 1}
    assert things.only_rows(id="1").parse({"thing": None}) is None
    with pytest.raises(TypeError, match="id"):
        things.only_rows()
    with pytest.raises(Exception, match="null for ThingsMother"):
        request.parse({"things": [{**row, "first": [], "mother": {"who": None}}]})


def test_one_input_variable_becomes_arguments(project):
    code, _ = project.run(make="mutation make($input: thing_input!) { make(input: $input) { id } }")
    assert code == 0
    inputs = project.load("inputs")
    project.load("enums")
    make = project.load("make")
    nested = inputs.ThingInput(name="inner", info=None)
    request = make.make(name="outer", parts=[nested, {"name": "plain"}])
    assert request.variables == {
        "input": {"name": "outer", "parts": [{"name": "inner", "info": None}, {"name": "plain"}]}
    }
    with pytest.raises(AttributeError):
        nested.name = "other"


def test_subscriptions_and_several_root_fields(project):
    code, _ = project.run(
        mixed="""
        subscription made($after: String) { made(after: $after) { id } }
        query two { hello things { id } }
        """
    )
    assert code == 0
    mixed = project.load("mixed")
    assert mixed.made().kind == "subscription"
    both = mixed.two().parse({"hello": "hi", "things": [{"id": "1"}]})
    assert (both.hello, both.things[0].id) == ("hi", "1")


def test_output_depends_on_the_input_only_and_is_checked(project):
    text = "query hello { hello }"
    assert project.run(one=text) == (0, [])
    first = {path.name: path.read_text() for path in project.output.glob("*.py")}
    (project.output / "stale.py").write_text("")
    code, errors = project.run("--check", one=text)
    assert code == 1
    assert len(errors) == 1
    assert "stale.py" in errors[0]
    assert "make generate" in errors[0]
    assert project.run(one=text) == (0, [])
    assert {path.name: path.read_text() for path in project.output.glob("*.py")} == first
    assert project.run("--check", one=text) == (0, [])


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("query x { nothing }", "a.graphql:1:11", "Cannot query field 'nothing'"),
        ("query x {", "a.graphql:1:10", "Syntax Error"),
        ("{ hello }", "a.graphql:1:1", "every operation needs a name"),
        ("query Hello { hello }", "a.graphql:1:1", "name it in snake_case"),
        ("query x { hello } query x { hello }", "a.graphql", "There can be only one operation named 'x'"),
        ("query x($a: Int) { hello }", "a.graphql", "Variable '$a' is never used"),
        ("query x { any { __typename } }", "a.graphql:1:11", "abstract type either"),
        (
            "query x { things { id } } query x_ { hello }\nfragment unused on thing { id }",
            "a.graphql:2:1",
            "never used",
        ),
        ("query x { things { parts { id } part: parts { id } } }", "a.graphql", "the class XPart is already made"),
    ],
)
def test_problems_have_a_place(project, text, place, message):
    code, errors = project.run(a=text)
    assert code == 1
    assert len(errors) == 1
    assert errors[0].startswith(place)
    assert message in errors[0]
    assert not project.output.exists()


def test_all_problems_at_once(project):
    code, errors = project.run(a="query a { nothing }", b="query b { nowhere }")
    assert code == 1
    assert [line.split(":")[0] for line in errors] == ["a.graphql", "b.graphql"]


def test_unknown_scalars_bad_schemas_and_missing_files(project, tmp_path, codegen, capsys):
    unknown = "scalar Odd type Query { odd: Odd }"
    code, errors = project.run(schema=unknown, a="query odd { odd }")
    assert code == 1
    assert "the scalar Odd is unknown" in errors[0]
    code, errors = project.run(schema="type Query {", a="query odd { odd }")
    assert code == 1
    assert "schema.graphql:1:13" in errors[0]
    code, errors = project.run(schema="type Query { x: Missing }", a="query odd { odd }")
    assert code == 1
    assert "Missing" in errors[0]
    assert codegen.main(["--schema", str(tmp_path / "none.graphql"), "--operations", str(tmp_path)]) == 1
    assert "cannot read the schema" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert codegen.main(["--schema", str(ROOT / "schema.graphql"), "--operations", str(tmp_path / "empty")]) == 1
    assert "no .graphql file" in capsys.readouterr().err


def test_reserved_module_names_are_refused(project):
    code, errors = project.run(types="query hello { hello }")
    assert code == 1
    assert "belongs to a generated module" in errors[0]
