"""Texts for the programs that keep other programs running: a supervisord configuration and a systemd unit.

Pure: they are returned, never installed.  What cannot be written in the one line that these files have for it raises
`ValueError`.
"""

import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Program", "prefect_command", "supervisord_configuration", "systemd_unit"]


@dataclass(frozen=True, slots=True)
class Program:
    """A program to keep running.

    `command` is its command line as a list; `environment` is added to what it inherits, and is the place for secrets,
    which other users could read in a command line.  With `is_outlived` the processes that it has started go on when it
    ends.
    """

    name: str
    description: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    is_outlived: bool = False

    def __post_init__(self) -> None:
        for text in (*self.command, *self.environment.values()):
            if not text.isprintable():
                raise ValueError(f"{text!r} has a line break or another character that such a file cannot hold.")


def prefect_command() -> list[str]:
    """Return the command line of the `prefect` program of this Python environment."""
    script = shutil.which("prefect", path=str(Path(sys.executable).parent))
    return [script] if script else [sys.executable, "-m", "prefect"]


_SUPERVISORD = """\
; {description}, kept running by supervisord (http://supervisord.org).
;
; Save this as supervisord.conf, then:
;   pip install supervisor       install it
;   supervisord                  start it, and with it the programs below
;   supervisorctl status         show how they are
;   supervisorctl stop {name}
;   supervisorctl shutdown       end all of them, and supervisord

[unix_http_server]
file=/tmp/supervisor.sock   ; the path to the socket file

[supervisord]
loglevel=debug              ; debug, info, warn or error

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix:///tmp/supervisor.sock

; more programs may follow, each in a section of its own
[program:{name}]
command={command}
{environment}
; a second program, for example:
;[program:{name}-2]
;command={short} ...
"""


def _supervisord_word(word: str) -> str:
    quoted = shlex.quote(word)
    # A comment begins at a blank and one of these, also inside quotes, unless the quotes are closed in between.
    for mark in ";#":
        quoted = quoted.replace(f" {mark}", f" ''{mark}")
    return quoted.replace("%", "%%")


def _supervisord_value(value: str) -> str:
    quote = "'" if '"' in value else '"'
    # It takes quotes of either kind off both ends.
    if quote in value or value != value.strip("'\""):
        raise ValueError(f"{value!r} has quotes in places where a supervisord configuration cannot hold them.")
    return f"{quote}{value}{quote}".replace("%", "%%")


def supervisord_configuration(program: Program) -> str:
    """Return a whole configuration file for supervisord that has this program."""
    pairs = ",".join(f"{name}={_supervisord_value(value)}" for name, value in program.environment.items())
    return _SUPERVISORD.format(
        name=program.name,
        description=program.description,
        command=" ".join(map(_supervisord_word, program.command)),
        environment=f"environment={pairs}\n" if pairs else "",
        short=" ".join(map(_supervisord_word, program.command[:4])),
    )


_SYSTEMD = """\
# {description}, kept running by systemd.
#
# Save this as /etc/systemd/system/{name}.service, with a line `User=` for whoever it is to run as, then:
#   systemctl daemon-reload
#   systemctl enable --now {name}
# or as ~/.config/systemd/user/{name}.service, and use `systemctl --user`.

[Unit]
Description={description}
Wants=network-online.target
After=network-online.target

[Service]
{environment}ExecStart={command}
Restart=on-failure
RestartSec=5
{kill_mode}

[Install]
WantedBy=default.target
"""


def _systemd_word(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"' if any(sign in word for sign in " '\"\\;#=") or not word else escaped


def systemd_unit(program: Program) -> str:
    """Return a whole systemd unit for this program."""
    lines = "".join(f"Environment={_systemd_word(f'{name}={value}')}\n" for name, value in program.environment.items())
    words = [_systemd_word(word).replace("$", "$$") for word in program.command]
    return _SYSTEMD.format(
        name=program.name,
        description=program.description,
        environment=lines,
        command=" ".join(words),
        kill_mode="# What it has started outlives it.\nKillMode=process" if program.is_outlived else "KillMode=mixed",
    )
