"""What beats what in the environment of a flow run, and which labels an agent has."""

import os

import pytest

from flowstead_agent import labels
from flowstead_agent.environment import ApiAccess, changes_interpreter, local_environment, python_path
from flowstead_agent.errors import AgentError


def build(**changes):
    arguments = {
        "inherited": {},
        "logging_level": "INFO",
        "python_path": "/work",
        "agent_env": {},
        "run_env": {},
        "send_logs": True,
        "access": ApiAccess("http://localhost:4200", "server"),
        "agent_labels": ["a"],
        "flow_run_id": "run",
        "flow_id": "flow",
        "claim_token": "token",
    } | changes
    return local_environment(**arguments)


def test_the_whole_environment_of_a_plain_run():
    assert build() == {
        "PREFECT__LOGGING__LEVEL": "INFO",
        "PYTHONPATH": "/work",
        "PREFECT__CLOUD__SEND_FLOW_RUN_LOGS": "true",
        "PREFECT__CLOUD__API": "http://localhost:4200",
        "PREFECT__BACKEND": "server",
        "PREFECT__CLOUD__AGENT__LABELS": "['a']",
        "PREFECT__CLOUD__USE_LOCAL_SECRETS": "false",
        "PREFECT__CONTEXT__FLOW_RUN_ID": "run",
        "PREFECT__CONTEXT__FLOW_ID": "flow",
        "PREFECT__CONTEXT__CLAIM_TOKEN": "token",
        "PREFECT__ENGINE__FLOW_RUNNER__DEFAULT_CLASS": "prefect.engine.cloud.CloudFlowRunner",
    }


def test_run_config_beats_agent_beats_inherited():
    environment = build(
        inherited={"X": "inherited", "Y": "inherited", "Z": "inherited"},
        agent_env={"X": "agent", "Y": "agent"},
        run_env={"X": "run"},
    )
    assert (environment["X"], environment["Y"], environment["Z"]) == ("run", "agent", "inherited")


@pytest.mark.parametrize("name", ["PREFECT__LOGGING__LEVEL", "PYTHONPATH"])
def test_early_variables_can_be_overridden(name):
    assert build(inherited={name: "low"}, run_env={name: "mine"})[name] == "mine"


@pytest.mark.parametrize(
    "name",
    [
        "PREFECT__CLOUD__API",
        "PREFECT__BACKEND",
        "PREFECT__CLOUD__AGENT__LABELS",
        "PREFECT__CONTEXT__FLOW_RUN_ID",
        "PREFECT__CONTEXT__CLAIM_TOKEN",
        "PREFECT__CLOUD__USE_LOCAL_SECRETS",
        "PREFECT__ENGINE__FLOW_RUNNER__DEFAULT_CLASS",
    ],
)
def test_late_variables_cannot_be_overridden(name):
    assert build(inherited={name: "x"}, agent_env={name: "x"}, run_env={name: "x"})[name] == build()[name]


@pytest.mark.parametrize("source", ["inherited", "agent_env", "run_env"])
def test_a_run_may_switch_its_logs_off_but_not_on(source):
    name = "PREFECT__CLOUD__SEND_FLOW_RUN_LOGS"
    assert build(**{source: {name: "false"}})[name] == "false"
    assert build(send_logs=False, **{source: {name: "true"}})[name] == "false"


def test_key_and_tenant_are_those_of_the_agent_or_absent():
    names = ("PREFECT__CLOUD__API_KEY", "PREFECT__CLOUD__TENANT_ID")
    without = build(inherited=dict.fromkeys(names, "someone else's"))
    assert not set(names) & set(without)
    access = ApiAccess("http://api", "cloud", api_key="key", tenant_id="tenant")
    assert [build(access=access, run_env=dict.fromkeys(names, "x"))[name] for name in names] == ["key", "tenant"]


def test_values_are_strings_and_null_is_left_out():
    environment = build(run_env={"NUMBER": 3, "NOTHING": None})
    assert environment["NUMBER"] == "3"
    assert "NOTHING" not in environment


def test_python_path():
    assert python_path("/run", "/a:/b", ["/c", "d"]) == os.pathsep.join(["/run", "/a:/b", "/c", "d"])
    assert python_path("/run", None, []) == "/run"


@pytest.mark.parametrize(
    ("changes", "run_env", "expected"),
    [
        ({}, {}, False),
        ({"PYTHONPATH": "/elsewhere"}, {}, False),
        ({"PYTHONPATH": "/elsewhere"}, {"PYTHONPATH": "/elsewhere"}, True),
        ({"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "1"}, True),
        ({"LD_PRELOAD": "lib.so"}, {"LD_PRELOAD": "lib.so"}, True),
        ({"LANG": "de_DE"}, {"LANG": "de_DE"}, True),
        ({"PREFECT__X": "1", "PATH": "/bin"}, {"PATH": "/bin"}, False),
    ],
)
def test_what_needs_an_interpreter_of_its_own(changes, run_env, expected):
    server = {"PATH": "/usr/bin", "LANG": "C.UTF-8", "PYTHONPATH": "/lib"}
    assert changes_interpreter(server | changes, server, run_env) is expected


def test_a_variable_that_the_fork_server_has_and_the_run_lacks_needs_an_interpreter_too():
    assert changes_interpreter({}, {"PYTHONHASHSEED": "1"}, {})


def test_hostname_label_is_appended_once():
    assert labels.with_hostname_label(["b", "a"], "host") == ["b", "a", "host"]
    assert labels.with_hostname_label(["host", "a"], "host") == ["host", "a"]
    assert labels.with_hostname_label([], "host") == ["host"]


def test_the_shared_host_name_of_docker_desktop_becomes_an_address(monkeypatch):
    monkeypatch.setattr(labels.socket, "gethostname", lambda: "docker-desktop")
    monkeypatch.setattr(labels.socket, "gethostbyname", lambda name: "192.168.65.3")
    assert labels.hostname_label() == "192.168.65.3"


@pytest.mark.parametrize("bad", ["prod", [1]])
def test_labels_must_be_a_list_of_strings(bad):
    with pytest.raises(AgentError, match="Labels must be"):
        labels.checked_labels(bad)
