"""What `config` shows, what agents are told, and how commands turn errors into sentences."""

import pytest

from flowstead_cli.commands.agent import normalised_level, parse_environment
from flowstead_cli.commands.config import masked
from flowstead_cli.errors import CliError, explained
from prefect.exceptions import ClientError, VersionLockMismatchSignal


def test_secrets_are_masked_and_nothing_else():
    shown = masked(
        {
            "home_dir": "/home",
            "cloud": {"api_key": "abc", "api": "http://x", "use_local_secrets": True},
            "context": {"secrets": {"TOKEN": "t", "nested": {"deep": "d"}}},
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
