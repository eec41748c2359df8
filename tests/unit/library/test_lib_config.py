"""§2, settings: the order of their layers, what strings become, and references between them."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import prefect
from prefect.configuration import (
    DEFAULT_CONFIG,
    Config,
    create_user_config,
    load_configuration,
    process_task_defaults,
    string_to_type,
    to_environment_variables,
)
from prefect.utilities.configuration import set_temporary_config


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Load a configuration of TOML texts, with environment variables under the prefix TEST."""

    def load(defaults, user=None, backend=None, **environment):
        paths = []
        for name, text in (("d", defaults), ("u", user), ("b", backend)):
            path = tmp_path / f"{name}.toml"
            if text is not None:
                path.write_text(text)
            paths.append(str(path))
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return load_configuration(*paths, env_var_prefix="TEST")

    return load


def test_later_layers_win(load):
    defaults = "backend = 'a'\n[s]\nx = 1\ny = 1\nz = 1\n"
    config = load(defaults, "backend = 'b'\n[s]\ny = 2\nz = 2\n", "backend = 'c'\n", TEST__S__Z="3")
    assert (config.backend, config.s.x, config.s.y, config.s.z) == ("c", 1, 2, 3)


def test_missing_files_and_new_sections_are_fine(load):
    config = load("[a]\nb = 1\n", TEST__NEW__SECTION__KEY="v")
    assert config.new.section.key == "v"
    assert config["new"]["section"]["key"] == "v"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("FALSE", False),
        ("4200", 4200),
        ("1.5", 1.5),
        ("-3", -3),
        ("1e3", 1000.0),
        ("[1, 'a']", [1, "a"]),
        ("{'a': 1}", {"a": 1}),
        ("(1, 2)", (1, 2)),
        ("None", None),
        ("1,2", (1, 2)),
        ("True, 'x'", (True, "x")),
        ("1, x", "1, x"),
        ("'quoted'", "quoted"),
        ("127.0.0.1", "127.0.0.1"),
        ("plain", "plain"),
        ("", ""),
        ("12345678-1234-1234-1234-123456789012", "12345678-1234-1234-1234-123456789012"),
        ("[unclosed", "[unclosed"),
        ("2020-01-01", "2020-01-01"),
    ],
)
def test_strings_are_cast_by_their_spelling(text, value):
    assert string_to_type(text) == value
    assert type(string_to_type(text)) is type(value)


@given(st.one_of(st.integers(), st.booleans(), st.floats(allow_nan=False, allow_infinity=False), st.none()))
def test_the_spelling_of_a_scalar_gives_the_scalar(value):
    assert string_to_type(str(value)) == value


@given(st.text())
def test_any_string_can_be_cast(text):
    string_to_type(text)


def test_references_take_types_and_nest(load):
    config = load(
        "backend = 'server'\n[server]\nhost = 'h'\nport = 4200\nendpoint = '${server.host}:${server.port}'\n"
        "[cloud]\napi = '${${backend}.endpoint}'\nport = '${server.port}'\nnothing = '${no.such.key}'\n"
    )
    assert config.cloud.api == "h:4200"
    assert config.cloud.port == 4200
    assert config.cloud.nothing == ""


def test_environment_variables_and_home_are_expanded(load, monkeypatch):
    monkeypatch.setenv("INNER", "in")
    monkeypatch.setenv("OUTER", "$INNER")
    config = load("a = '$OUTER/x'\nb = '~/y'\n")
    assert config.a == "in/x"
    assert config.b == str(Path("~/y").expanduser())


def test_secrets_keep_their_case_and_spelling(load):
    config = load("a = 1\n", TEST__CONTEXT__SECRETS__My_Key="42", TEST__CONTEXT__OTHER="42")
    assert config.context.secrets.My_Key in {42, "42"}
    assert config.context.other == 42


def test_ids_stay_strings(load):
    config = load("a = 1\n", TEST__CONTEXT__CLAIM_TOKEN="12345", TEST__CONTEXT__FLOW_RUN_ID="1e5")
    assert config.context.claim_token == "12345"
    assert config.context.flow_run_id == "1e5"


def test_keys_named_like_methods_are_refused(load):
    with pytest.raises(ValueError, match=r'^Invalid config key: "update"$'):
        load("[a]\nupdate = 1\n")


def test_malformed_toml_names_the_file(load):
    with pytest.raises(ValueError, match=r"u\.toml"):
        load("a = 1\n", user="a = = 2")


def test_a_missing_key_is_both_errors():
    config = Config(a={"b": 1})
    assert isinstance(config.a, Config)
    for error in (KeyError, AttributeError):
        with pytest.raises(error, match="'Config' object has no attribute 'zz'"):
            _ = config.zz
    with pytest.raises(KeyError):
        _ = config["zz"]
    assert config.get("zz", 5) == 5


def test_copies_are_deep_in_sections():
    config = Config(a={"b": 1})
    other = config.copy()
    other.a.b = 2
    assert config.a.b == 1
    assert other.to_dict() == {"a": {"b": 2}}


def test_task_defaults_are_normalised():
    config = process_task_defaults(Config(tasks={"defaults": {"max_retries": False, "retry_delay": 5}}))
    assert config["tasks"]["defaults"] == {"max_retries": 0, "retry_delay": timedelta(seconds=5), "timeout": None}


def test_packaged_defaults():
    config = load_configuration(DEFAULT_CONFIG)
    process_task_defaults(config)
    assert config.backend == "server"
    assert config.cloud.api == "http://localhost:4200"
    assert config.home_dir == str(Path("~/.prefect").expanduser())
    assert config.logging.format == "[%(asctime)s] %(levelname)s - %(name)s | %(message)s"
    assert config.cloud.agent.labels == []
    assert config.tasks.defaults.to_dict() == {"max_retries": 0, "retry_delay": None, "timeout": None}


def test_temporary_config_reaches_config_and_context():
    before = prefect.config.copy()
    with set_temporary_config({"flows.checkpointing": "yes", "new.section.key": 1}):
        assert prefect.config.flows.checkpointing == "yes"
        assert prefect.context.config.flows.checkpointing == "yes"
        assert prefect.config.new.section.key == 1
    assert prefect.config == before
    assert "new" not in prefect.context.config


def test_user_config_is_created_once(tmp_path):
    path = tmp_path / "sub" / "config.toml"
    create_user_config(str(path))
    assert path.read_text() == Path(DEFAULT_CONFIG).read_text()
    with pytest.raises(ValueError, match=r"^File already exists: "):
        create_user_config(str(path))


def test_environment_form():
    config = Config(a={"b": 1, "c": "x"})
    assert to_environment_variables(config) == {"PREFECT__A__B": "1", "PREFECT__A__C": "x"}
    assert to_environment_variables(config, include=["a.c"], prefix="X") == {"X__A__C": "x"}


def test_reload_reads_the_environment_again_in_place(monkeypatch):
    config = prefect.config
    monkeypatch.setenv("PREFECT__CONTEXT__FLOW_RUN_ID", "abc")
    monkeypatch.setenv("PREFECT__CLOUD__QUEUE_INTERVAL", "7")
    try:
        prefect.configuration.reload()
        assert config is prefect.config
        assert config.cloud.queue_interval == 7
        assert prefect.context.flow_run_id == "abc"
        assert prefect.context.config is config
        assert prefect.context.logger.name == "prefect"
    finally:
        monkeypatch.undo()
        prefect.configuration.reload()
    assert "flow_run_id" not in prefect.context or "PREFECT__CONTEXT__FLOW_RUN_ID" in os.environ
