"""`key=value` options and parameter files."""

import pytest

from flowstead_cli.errors import CliError
from flowstead_cli.values import merge_parameters, parse_pairs, read_parameter_file


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2", 2),
        ("2.0", 2.0),
        ("true", True),
        ("null", None),
        ("[1,2]", [1, 2]),
        ('{"k": "v"}', {"k": "v"}),
        ("foo", "foo"),
        ("0foo", "0foo"),
        ("True", "True"),
        ("2021-01-01", "2021-01-01"),
        ("[1,", "[1,"),
        ('"2.0"', "2.0"),
        ("", ""),
        ('{"a":"x=y"}', {"a": "x=y"}),
        (r"C:\temp", r"C:\temp"),
        ("a\tb", "a\tb"),
    ],
)
def test_a_value_is_json_or_else_text(text, value):
    parsed = parse_pairs("parameter", [f"x={text}"])["x"]
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize("text", ['{"a"', '"foo"1', '{"a": }', "{a}"])
def test_a_value_that_is_broken_json_is_named(text):
    with pytest.raises(CliError) as raised:
        parse_pairs("context", [f"x={text}"])
    assert raised.value.message.startswith(
        f"Failed to parse JSON for context 'x' with value\n\n\t{text}\n\nJSON Error: "
    )


@pytest.mark.parametrize("pair", ["x", "=1", ""])
def test_a_pair_needs_key_and_equals_sign(pair):
    with pytest.raises(CliError, match="expected key=value"):
        parse_pairs("parameter", [pair])


def test_the_last_of_equal_keys_wins():
    assert parse_pairs("parameter", ["x=1", "x=2"]) == {"x": 2}


def test_parameters_of_a_file(tmp_path):
    file = tmp_path / "parameters.json"
    file.write_text('{"a": 1, "b": [2]}')
    assert read_parameter_file(str(file)) == {"a": 1, "b": [2]}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "Failed to parse JSON at '{file}': "),
        ("", "Failed to parse JSON at '{file}': "),
        ("[1]", "The parameter file '{file}' holds a JSON list; expected an object"),
        (b"\xff\xfe", "Failed to read the parameter file '{file}': "),
    ],
)
def test_a_bad_parameter_file_is_one_sentence(tmp_path, content, sentence):
    file = tmp_path / "parameters.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(CliError) as raised:
        read_parameter_file(str(file))
    assert raised.value.message.startswith(sentence.format(file=file))


def test_a_missing_parameter_file_is_named_in_full(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CliError, match="Parameter file does not exist: ") as raised:
        read_parameter_file("nope.json")
    assert str(tmp_path / "nope.json") in raised.value.message


def test_options_win_over_the_file():
    assert merge_parameters({"a": 1, "b": 2}, {"b": 3, "c": 4}) == ({"a": 1, "b": 3, "c": 4}, {"b"})
