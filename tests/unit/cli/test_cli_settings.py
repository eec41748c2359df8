"""What `config` shows, what agents are told, and how commands turn errors into sentences."""

import json

import pytest

from flowstead_cli.agent_options import normalised_level, parse_environment
from flowstead_cli.commands import diagnostics
from flowstead_cli.commands.config import masked
from flowstead_cli.errors import CliError, explained
from prefect.exceptions import ClientError, VersionLockMismatchSignal


def test_secrets_are_masked_and_nothing_else():
    shown = masked(
        {
            "home_dir": "/home",
            "cloud": {"api_key": "abc", "api": "http://x", "use_local_secrets": True},
            "context": {"secrets": {"TOKEN": "t", "nested": {"deep": 4711}}},
            "server": {"database": {"password": "", "connection_url": "postgres://u:p@h/d"}},
        }
    )
    assert shown == {
        "home_dir": "/home",
        "cloud": {"api_key": "********", "api": "http://x", "use_local_secrets": True},
        "context": {"secrets": {"TOKEN": "********", "nested": {"deep": "********"}}},
        "server": {"database": {"password": "", "connection_url": "********"}},
    }


def test_environment_options():
    assert parse_environment(("A=1", "B=x=y", "C=")) == {"A": "1", "B": "x=y", "C": ""}
    with pytest.raises(CliError, match="--env takes KEY=VALUE, but got 'A'"):
        parse_environment(("A",))


def test_log_levels_have_any_case():
    assert normalised_level("debug") == "DEBUG"
    assert normalised_level(None) is None
    with pytest.raises(CliError, match="'loud' is not a log level; choose one of DEBUG"):
        normalised_level("loud")


def test_only_errors_that_users_can_cause_become_sentences():
    assert explained(CliError("no")) == "no"
    assert explained(ClientError("no API")) == "no API"
    assert explained(VersionLockMismatchSignal("moved on")) == "moved on"
    assert explained(ZeroDivisionError()) is None


def test_diagnostics_name_settings_and_show_no_value(monkeypatch, tmp_path, capsys):
    (tmp_path / "config.toml").write_text(
        '[logging]\nlevel = "DEBUG"\nformat = "x"\n[cloud]\nrequest_timeout = 15\n[context.secrets]\nTOKEN = "hidden"\n'
    )
    monkeypatch.setenv("PREFECT__USER_CONFIG_PATH", str(tmp_path / "config.toml"))
    monkeypatch.setenv("PREFECT__CONTEXT__SECRETS__OTHER", "hidden")
    monkeypatch.setenv("PREFECT__CLOUD__API_KEY", "hidden")
    diagnostics.run(diagnostics.Options())
    text = capsys.readouterr().out
    assert "hidden" not in text
    assert "OTHER" not in text
    found = json.loads(text)
    assert list(found) == ["config_overrides", "env_vars", "system_information"]
    assert found["config_overrides"] == {"context": {"secrets": False}, "logging": {"format": True, "level": True}}
    assert "PREFECT__CLOUD__API_KEY" in found["env_vars"]
    assert sorted(found["system_information"]) == ["platform", "prefect_backend", "prefect_version", "python_version"]
    diagnostics.run(diagnostics.Options(include_secret_names=True))
    text = capsys.readouterr().out
    assert "hidden" not in text
    assert json.loads(text)["config_overrides"]["context"] == {"secrets": {"TOKEN": True}}
    assert "PREFECT__CONTEXT__SECRETS__OTHER" in json.loads(text)["env_vars"]
