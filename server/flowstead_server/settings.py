"""What a server process is told: by arguments, by environment variables, or by nothing.

Arguments win over the environment, the environment over the defaults. A value that makes no sense is a `StartupError`
that names the value, where it came from and what to write instead.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from flowstead_server.command_line import DEFAULT_PORT, LEVELS, Program, parser_of
from flowstead_server.compiler.limits import MOST_ROWS, Limits
from flowstead_server.domain.addresses import AddressRules, parse_allowed
from flowstead_server.domain.errors import StartupError
from flowstead_server.domain.hook_rules import HookRules
from flowstead_server.domain.liveness import LivenessRules
from flowstead_server.domain.retention import DEFAULT_RULES, MOST_DAYS, Rule
from flowstead_server.domain.scheduling import MissedRuns, SchedulingRules
from flowstead_server.environment import Environment

DEFAULT_BODY_LIMIT = 5 * 1024 * 1024
DEFAULT_STATEMENT_TIMEOUT = 30.0
_MAX_PORT = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class LivenessSettings:
    """When runs count as dead, and which of the services that look for them run how often (seconds)."""

    rules: LivenessRules = field(default_factory=LivenessRules)
    zombie_reaper: bool = True
    zombie_reaper_interval: float = 120.0
    lazarus: bool = True
    lazarus_interval: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionSettings:
    """For how long logs and runs are kept where a project says nothing, and how often is looked (seconds)."""

    enabled: bool = True
    interval: float = 3600.0
    rules: tuple[Rule, ...] = DEFAULT_RULES


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to run a server.

    Sizes are in bytes, times in seconds. `postgres_url` None means the embedded PostgreSQL in `data_dir`; `port` 0
    means a free one; `ready_fd` is a file descriptor that gets one JSON line when the server answers; `dry_run` is for
    programs that delete, `metrics_port` for those that answer nothing else (None: not even that).
    """

    data_dir: Path
    postgres_url: str | None = None
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    upgrade: bool = True
    allow_unauthenticated: bool = False
    ready_fd: int | None = None
    access_log: bool = False
    playground: bool = True
    log_level: str = "INFO"
    body_limit: int = DEFAULT_BODY_LIMIT
    max_connections: int = 20
    statement_timeout: float = DEFAULT_STATEMENT_TIMEOUT
    limits: Limits = field(default_factory=Limits)
    shutdown_seconds: float = 2.0
    liveness: LivenessSettings = field(default_factory=LivenessSettings)
    scheduler: bool = True
    scheduling: SchedulingRules = field(default_factory=SchedulingRules)
    dry_run: bool = False
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    hooks_service: bool = True
    hooks: HookRules = field(default_factory=HookRules)
    services: bool = True
    metrics: bool = True
    metrics_port: int | None = None

    @property
    def shows_playground(self) -> bool:
        """Whether browsers get the playground, which without introspection could neither complete nor explain."""
        return self.playground and self.limits.introspection

    def check(self) -> None:
        """Check what can be checked without touching anything.

        Raises:
            StartupError: the port is no port, or others could reach the server without a login.
        """
        if not 0 <= self.port <= _MAX_PORT:
            raise StartupError(f"The port must be between 0 and {_MAX_PORT}, not {self.port}.")
        if not self.allow_unauthenticated and not is_loopback(self.host):
            raise StartupError(
                f"Refusing to listen on {self.host}: everybody who can reach this machine could use the API without a "
                "login. Listen on 127.0.0.1, or pass --allow-unauthenticated if the network is trusted."
            )


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach an address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def read_settings(
    arguments: Sequence[str], environment: Mapping[str, str], program: Program = Program.SERVER
) -> Settings:
    """Put settings together from the command line of a program (without its name) and an environment.

    Raises:
        StartupError: a value makes no sense.
        SystemExit: the command line is wrong or asks for help; argparse has said so.
    """
    options = parser_of(program).parse_args(arguments)
    source = Environment(environment)
    home = Path(source.text("PREFECT__HOME_DIR") or "~/.prefect").expanduser()
    data_dir = options.data_dir or source.text("PREFECT__SERVER__DATA_DIR")
    url = options.postgres_url or source.text("PREFECT__SERVER__DATABASE__CONNECTION_URL")
    if options.data_dir:
        url = options.postgres_url
    settings = Settings(
        host=options.host or source.text("PREFECT__SERVER__HOST_IP") or "127.0.0.1",
        port=options.port if options.port is not None else source.number("PREFECT__SERVER__PORT", DEFAULT_PORT),
        data_dir=Path(data_dir).expanduser() if data_dir else home / "pgdata",
        postgres_url=url,
        upgrade=not options.no_upgrade,
        allow_unauthenticated=options.allow_unauthenticated or source.flag("PREFECT__SERVER__ALLOW_UNAUTHENTICATED"),
        ready_fd=options.ready_fd,
        access_log=options.access_log or source.flag("PREFECT__SERVER__ACCESS_LOG"),
        playground=not options.no_ui and source.flag("PREFECT__SERVER__UI__PLAYGROUND", default=True),
        log_level=options.log_level or source.choice("PREFECT__SERVER__LOG_LEVEL", LEVELS, "INFO"),
        body_limit=source.number("PREFECT__SERVER__BODY_LIMIT", DEFAULT_BODY_LIMIT),
        max_connections=source.number("PREFECT__SERVER__DATABASE__MAX_CONNECTIONS", 20),
        statement_timeout=source.seconds("PREFECT__SERVER__DATABASE__STATEMENT_TIMEOUT", DEFAULT_STATEMENT_TIMEOUT),
        limits=_read_limits(source, disable_introspection=options.disable_introspection),
        liveness=_read_liveness(source),
        scheduler=source.flag("PREFECT__SERVER__SERVICES__SCHEDULER", default=True),
        scheduling=_read_scheduling(source),
        dry_run=options.dry_run,
        retention=_read_retention(source),
        hooks_service=source.flag("PREFECT__SERVER__SERVICES__HOOKS", default=True),
        hooks=_read_hooks(source),
        services=not options.no_services and source.flag("PREFECT__SERVER__SERVICES__ENABLED", default=True),
        metrics_port=_read_metrics_port(source, options.metrics_port),
        metrics=source.flag("PREFECT__SERVER__METRICS", default=True),
    )
    if program is Program.SERVER or settings.metrics_port is not None:
        settings.check()
    return settings


def _read_liveness(source: Environment) -> LivenessSettings:
    rules, defaults = LivenessRules(), LivenessSettings()
    prefix = "PREFECT__SERVER__SERVICES"

    def seconds(name: str, default: float, least: float = 0.1) -> float:
        return source.seconds(f"PREFECT__SERVER__{name}", default, least)

    return LivenessSettings(
        rules=LivenessRules(
            timedelta(seconds=seconds("HEARTBEAT_LIMIT", rules.limit.total_seconds(), least=1)),
            source.number(f"{prefix}__LAZARUS_ATTEMPTS", rules.attempts),
        ),
        zombie_reaper=source.flag(f"{prefix}__ZOMBIE_REAPER", default=True),
        zombie_reaper_interval=seconds("SERVICES__ZOMBIE_REAPER_INTERVAL", defaults.zombie_reaper_interval),
        lazarus=source.flag(f"{prefix}__LAZARUS", default=True),
        lazarus_interval=seconds("SERVICES__LAZARUS_INTERVAL", defaults.lazarus_interval),
    )


def _read_scheduling(source: Environment) -> SchedulingRules:
    most_ahead = 1000
    variable = "PREFECT__SERVER__SERVICES__SCHEDULER_RUNS_AHEAD"
    ahead = source.number(variable, SchedulingRules().ahead)
    if not 1 <= ahead <= most_ahead:
        raise StartupError(f"The environment variable {variable} must be between 1 and {most_ahead}, not {ahead}.")
    policies = [policy.value for policy in MissedRuns]
    policy = source.choice("PREFECT__SERVER__SERVICES__SCHEDULER_MISSED_RUNS", policies, MissedRuns.SKIP)
    return SchedulingRules(ahead=ahead, missed_runs=MissedRuns(policy))


def _read_metrics_port(source: Environment, given: int | None) -> int | None:
    name = "PREFECT__SERVER__SERVICES__METRICS_PORT"
    port = source.number(name, 0) if given is None and source.text(name) else given
    if port is not None and not 0 <= port <= _MAX_PORT:
        raise StartupError(f"The port of the metrics must be between 0 and {_MAX_PORT}, not {port}.")
    return port


def _read_retention(source: Environment) -> RetentionSettings:
    def days(name: str, default: int | None) -> int | None:
        variable = f"PREFECT__SERVER__RETENTION__{name}"
        text = source.text(variable)
        if text is None:
            return default
        if not text.isdecimal() or not 1 <= int(text) <= MOST_DAYS:
            raise StartupError(
                f"The environment variable {variable} must be whole days between 1 and {MOST_DAYS}, not {text!r}."
            )
        return int(text)

    rules = [
        Rule(rule.state, days(f"{prefix}LOGS_DAYS", rule.logs_days), days(f"{prefix}RUNS_DAYS", rule.runs_days))
        for rule, prefix in zip(DEFAULT_RULES, ("", "FAILED_"), strict=True)
    ]
    prefix, defaults = "PREFECT__SERVER__SERVICES__RETENTION", RetentionSettings()
    return RetentionSettings(
        enabled=source.flag(prefix, default=True),
        interval=source.seconds(f"{prefix}_INTERVAL", defaults.interval, least=1),
        rules=tuple(rules),
    )


def _read_hooks(source: Environment) -> HookRules:
    defaults, most_days = HookRules(), 3650

    def number(name: str, default: int, most: int) -> int:
        variable = f"PREFECT__SERVER__HOOKS__{name}"
        value = source.number(variable, default)
        if not 1 <= value <= most:
            raise StartupError(f"The environment variable {variable} must be between 1 and {most}, not {value}.")
        return value

    def seconds(name: str, default: timedelta) -> timedelta:
        return timedelta(seconds=source.seconds(f"PREFECT__SERVER__HOOKS__{name}", default.total_seconds()))

    variable = "PREFECT__SERVER__HOOKS__ALLOWED_HOSTS"
    try:
        hosts, networks = parse_allowed((source.text(variable) or "").split(","))
    except ValueError as error:
        raise StartupError(
            f"The environment variable {variable} must be hosts and networks with commas between them, but "
            f"{str(error)!r} is neither."
        ) from None
    timeout = "PREFECT__SERVER__HOOKS__TIMEOUT"
    return HookRules(
        attempts=number("ATTEMPTS", defaults.attempts, 1000),
        first_pause=seconds("FIRST_PAUSE", defaults.first_pause),
        longest_pause=seconds("LONGEST_PAUSE", defaults.longest_pause),
        timeout=source.seconds(timeout, 0.0, most=30) if source.text(timeout) else None,
        link_base=(source.text("PREFECT__SERVER__HOOKS__LINK_URL") or defaults.link_base).rstrip("/"),
        addresses=AddressRules(source.flag("PREFECT__SERVER__HOOKS__ALLOW_PRIVATE"), hosts, networks),
        keep_delivered=timedelta(days=number("KEEP_DELIVERED_DAYS", defaults.keep_delivered.days, most_days)),
        keep_dead=timedelta(days=number("KEEP_DEAD_DAYS", defaults.keep_dead.days, most_days)),
    )


def _read_limits(source: Environment, *, disable_introspection: bool) -> Limits:
    defaults = Limits()

    def number(name: str, default: int) -> int:
        variable = f"PREFECT__SERVER__LIMITS__{name}"
        value = source.number(variable, default)
        if value == 0:
            raise StartupError(f"The environment variable {variable} must be at least 1.")
        return value

    most_rows = number("MOST_ROWS", MOST_ROWS)
    return Limits(
        tokens=number("TOKENS", defaults.tokens),
        depth=number("DEPTH", defaults.depth),
        fields=number("FIELDS", defaults.fields),
        aliases=number("ALIASES", defaults.aliases),
        root_fields=number("ROOT_FIELDS", defaults.root_fields),
        repeated_fields=number("REPEATED_FIELDS", defaults.repeated_fields),
        tables=number("TABLES", defaults.tables),
        cost=number("COST", defaults.cost),
        answer_bytes=number("ANSWER_BYTES", defaults.answer_bytes),
        default_rows=number("DEFAULT_ROWS", most_rows),
        most_rows=most_rows,
        introspection=not disable_introspection and source.flag("PREFECT__SERVER__INTROSPECTION", default=True),
    )
