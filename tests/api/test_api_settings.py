"""Settings from arguments and environment, and what is refused."""

from pathlib import Path

import pytest

from flowstead_server.command_line import Program
from flowstead_server.domain.errors import StartupError
from flowstead_server.domain.hook_rules import HookRules
from flowstead_server.domain.retention import DEFAULT_RULES, Rule
from flowstead_server.settings import is_loopback, read_settings


def test_defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = read_settings([], {})
    assert (settings.host, settings.port, settings.postgres_url) == ("127.0.0.1", 4200, None)
    assert settings.data_dir == tmp_path / ".prefect" / "pgdata"


def test_the_environment_is_read_and_arguments_win() -> None:
    environment = {
        "PREFECT__SERVER__PORT": "4300",
        "PREFECT__SERVER__HOST_IP": "::1",
        "PREFECT__SERVER__DATABASE__CONNECTION_URL": "postgresql://somewhere/db",
        "PREFECT__HOME_DIR": "/srv/home",
    }
    settings = read_settings(["--port", "4400"], environment)
    assert (settings.host, settings.port) == ("::1", 4400)
    assert settings.postgres_url == "postgresql://somewhere/db"
    assert settings.data_dir == Path("/srv/home/pgdata")


def test_services_can_be_switched_off_and_limited() -> None:
    prefix = "PREFECT__SERVER__SERVICES__"
    liveness = read_settings([], {}).liveness
    assert (liveness.rules.limit.total_seconds(), liveness.rules.attempts) == (600, 10)
    assert (liveness.zombie_reaper, liveness.zombie_reaper_interval) == (True, 120)
    assert (liveness.lazarus, liveness.lazarus_interval) == (True, 600)
    environment = {
        "PREFECT__SERVER__HEARTBEAT_LIMIT": "90",
        f"{prefix}ZOMBIE_REAPER": "false",
        f"{prefix}LAZARUS": "off",
        f"{prefix}LAZARUS_ATTEMPTS": "3",
        f"{prefix}LAZARUS_INTERVAL": "60",
    }
    liveness = read_settings([], environment).liveness
    assert (liveness.rules.limit.total_seconds(), liveness.rules.attempts) == (90, 3)
    assert (liveness.zombie_reaper, liveness.lazarus, liveness.lazarus_interval) == (False, False, 60)


def test_days_of_retention_are_read_and_checked() -> None:
    assert read_settings([], {}).retention.rules == DEFAULT_RULES
    environment = {
        "PREFECT__SERVER__RETENTION__LOGS_DAYS": "7",
        "PREFECT__SERVER__RETENTION__FAILED_RUNS_DAYS": "36500",
        "PREFECT__SERVER__SERVICES__RETENTION": "off",
        "PREFECT__SERVER__SERVICES__RETENTION_INTERVAL": "60",
    }
    retention = read_settings([], environment).retention
    assert retention.rules == (Rule("Finished", 7, 365), Rule("Failed", 180, 36500))
    assert (retention.enabled, retention.interval) == (False, 60)
    for value in ("0", "-1", "36501", "1.5", "for ever", "9" * 30):
        with pytest.raises(StartupError, match=f"whole days between 1 and 36500, not '{value}'"):
            read_settings([], {"PREFECT__SERVER__RETENTION__RUNS_DAYS": value})


def test_hooks_can_be_told_what_they_may_call_and_how_often() -> None:
    settings = read_settings([], {})
    assert settings.hooks_service
    assert settings.hooks == HookRules()
    prefix = "PREFECT__SERVER__HOOKS__"
    environment = {
        "PREFECT__SERVER__SERVICES__HOOKS": "false",
        f"{prefix}ALLOWED_HOSTS": "dashboard.internal, 10.0.0.0/8",
        f"{prefix}ATTEMPTS": "3",
        f"{prefix}FIRST_PAUSE": "1.5",
        f"{prefix}TIMEOUT": "9",
        f"{prefix}LINK_URL": "https://flows.example/",
        f"{prefix}KEEP_DEAD_DAYS": "7",
    }
    settings = read_settings([], environment)
    rules = settings.hooks
    assert (settings.hooks_service, rules.attempts, rules.timeout, rules.keep_dead.days) == (False, 3, 9, 7)
    assert (rules.first_pause.total_seconds(), rules.link_base) == (1.5, "https://flows.example")
    assert rules.addresses.allow("dashboard.internal", "127.0.0.1")
    assert rules.addresses.allow("other", "10.2.3.4")
    assert not rules.addresses.allow("other", "127.0.0.1")
    assert read_settings([], {f"{prefix}ALLOW_PRIVATE": "true"}).hooks.addresses.allow("other", "127.0.0.1")


def test_a_process_may_run_no_services_or_only_them() -> None:
    assert read_settings([], {}).services
    assert not read_settings(["--no-services"], {}).services
    assert not read_settings([], {"PREFECT__SERVER__SERVICES__ENABLED": "false"}).services
    # What only concerns listening is no reason to refuse a process that does not listen.
    settings = read_settings(["--log-level", "DEBUG"], {"PREFECT__SERVER__HOST_IP": "0.0.0.0"}, Program.SERVICES)
    assert (settings.services, settings.log_level) == (True, "DEBUG")
    assert settings.metrics_port is None
    for arguments, environment in (
        (["--metrics-port", "4201"], {}),
        ([], {"PREFECT__SERVER__SERVICES__METRICS_PORT": "4201"}),
    ):
        assert read_settings(arguments, environment, Program.SERVICES).metrics_port == 4201
    with pytest.raises(StartupError, match="between 0 and 65535, not 70000"):
        read_settings(["--metrics-port", "70000"], {}, Program.SERVICES)
    with pytest.raises(StartupError, match="Refusing to listen on"):
        read_settings(["--metrics-port", "0", "--host", "0.0.0.0"], {}, Program.SERVICES)


def test_a_data_directory_on_the_command_line_means_the_embedded_database() -> None:
    environment = {"PREFECT__SERVER__DATABASE__CONNECTION_URL": "postgresql://somewhere/db"}
    assert read_settings(["--data-dir", "/srv/data"], environment).postgres_url is None


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["--port", "70000"], {}, "between 0 and 65535, not 70000"),
        ([], {"PREFECT__SERVER__PORT": "many"}, "PREFECT__SERVER__PORT must be a whole number, not 'many'"),
        ([], {"PREFECT__SERVER__ACCESS_LOG": "perhaps"}, "PREFECT__SERVER__ACCESS_LOG must be true or false"),
        ([], {"PREFECT__SERVER__LOG_LEVEL": "loud"}, "PREFECT__SERVER__LOG_LEVEL must be one of"),
        ([], {"PREFECT__SERVER__HEARTBEAT_LIMIT": "0.5"}, "HEARTBEAT_LIMIT must be seconds between 1 and 86400"),
        ([], {"PREFECT__SERVER__SERVICES__LAZARUS": "never"}, "SERVICES__LAZARUS must be true or false"),
        ([], {"PREFECT__SERVER__HOOKS__ALLOWED_HOSTS": "a,http://b"}, "'http://b' is neither"),
        ([], {"PREFECT__SERVER__HOOKS__ATTEMPTS": "0"}, "HOOKS__ATTEMPTS must be between 1 and 1000, not 0"),
        ([], {"PREFECT__SERVER__HOOKS__TIMEOUT": "31"}, "HOOKS__TIMEOUT must be seconds between 0.001 and 30"),
        (["--host", "0.0.0.0"], {}, "Refusing to listen on 0.0.0.0: .*--allow-unauthenticated"),
        (["--host", "example.org"], {}, "Refusing to listen on example.org"),
    ],
)
def test_values_that_make_no_sense(arguments: list[str], environment: dict[str, str], message: str) -> None:
    with pytest.raises(StartupError, match=message):
        read_settings(arguments, environment)


def test_listening_to_everybody_can_be_allowed() -> None:
    assert read_settings(["--host", "0.0.0.0", "--allow-unauthenticated"], {}).host == "0.0.0.0"
    assert read_settings(["--host", "0.0.0.0"], {"PREFECT__SERVER__ALLOW_UNAUTHENTICATED": "true"}).host == "0.0.0.0"


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost", True), ("127.8.8.8", True), ("::1", True), ("[::1]", True), ("0.0.0.0", False), ("10.0.0.1", False)],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
