"""The texts with which supervisord and systemd keep agents and servers running (§9.3)."""

import configparser
import shlex

import pytest

from flowstead_agent.errors import AgentError
from flowstead_agent.supervision import Program, supervisord_configuration, systemd_unit
from prefect.agent.local import LocalAgent

ODD = [
    "plain",
    "two words",
    "a ;no comment",
    "#1 # 2",
    "100 %",
    "%(here)s",
    "it's",
    'say "hi"',
    "$HOME",
    "",
    "ünï",
    "a\\b",
]


def supervisord(text):
    """Return the sections as supervisord reads them: with comments inside of lines, and `%%` for a percent sign."""
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"), strict=False)
    parser.read_string(text)
    return {name: {key: value.replace("%%", "%") for key, value in parser[name].items()} for name in parser.sections()}


def program(**options):
    return Program(name="prefect-x", description="An x", command=["/bin/prefect", "agent", *ODD], **options)


def test_supervisord_gets_every_argument_as_it_was():
    sections = supervisord(supervisord_configuration(program(environment={"A": "100 %", "B": 'x "y" z'})))
    assert set(sections) == {
        "unix_http_server",
        "supervisord",
        "rpcinterface:supervisor",
        "supervisorctl",
        "program:prefect-x",
    }
    assert sections["unix_http_server"] == {"file": "/tmp/supervisor.sock"}
    assert sections["supervisorctl"] == {"serverurl": "unix:///tmp/supervisor.sock"}
    assert sections["supervisord"] == {"loglevel": "debug"}
    assert shlex.split(sections["program:prefect-x"]["command"]) == ["/bin/prefect", "agent", *ODD]
    assert sections["program:prefect-x"]["environment"] == 'A="100 %",B=\'x "y" z\''
    for value in ("'x", 'x"', "a'b\"c"):
        with pytest.raises(ValueError, match="has quotes in places"):
            supervisord_configuration(program(environment={"A": value}))


def test_systemd_gets_every_argument_as_it_was():
    text = systemd_unit(program(environment={"KEY": "a b"}, is_outlived=True))
    assert 'Environment="KEY=a b"\n' in text
    assert "\nKillMode=process\n" in text
    (line,) = [line for line in text.splitlines() if line.startswith("ExecStart=")]
    assert line == (
        'ExecStart=/bin/prefect agent plain "two words" "a ;no comment" "#1 # 2" "100 %%" %%(here)s "it\'s" '
        r'"say \"hi\"" $$HOME "" ünï "a\\b"'
    )
    assert "\nKillMode=mixed\n" in systemd_unit(program())


@pytest.mark.parametrize("text", ["a\nb", "a\0b", "\r"])
def test_what_no_line_can_hold_is_refused(text):
    with pytest.raises(ValueError, match="has a line break"):
        Program("x", "x", ["prefect", text])
    with pytest.raises(AgentError, match="has a line break"):
        LocalAgent.generate_supervisor_conf(labels=[text])


def test_an_agent_has_its_own_configuration():
    text = LocalAgent.generate_supervisor_conf(
        key="the-key",
        tenant_id="t",
        labels=["a", "b c"],
        env_vars={"K": "v w"},
        import_paths=["/p"],
        show_flow_logs=True,
        agent_config_id="c",
    )
    section = supervisord(text)["program:prefect-agent"]
    command = shlex.split(section["command"])
    assert command[command.index("agent") :] == [
        *["agent", "local", "start", "-l", "a", "-l", "b c", "-e", "K=v w", "-p", "/p", "-f", "--agent-config-id", "c"]
    ]
    # Who looks at the processes of the machine must not see the key.
    assert "the-key" not in section["command"]
    assert 'PREFECT__CLOUD__API_KEY="the-key",PREFECT__CLOUD__TENANT_ID="t"' in section["environment"]
