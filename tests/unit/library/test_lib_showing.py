"""§4.6: drawing a flow, and what a bug report says about it."""

import json
import shutil
import sys
import types

import pytest

from prefect import Flow, Parameter, task, unmapped
from prefect.core.drawing import draw
from prefect.engine.state import Failed, Success
from prefect.schedules import CronSchedule
from prefect.storage import Local

graphviz = pytest.importorskip("graphviz")


@task
def numbers(count):
    return list(range(count))


@task
def invert(x, by):
    return len(by) / x


@task
def total(xs):
    return sum(xs)


@pytest.fixture
def flow():
    with Flow("drawn") as it:
        found = numbers(Parameter("count", default=2))
        total(invert.map(found, by=unmapped(found)))
    return it


def test_tasks_and_arrows(flow):
    assert draw(flow).body == [
        "\tcount [label=count shape=ellipse]\n",
        '\t"numbers-1" [label=numbers shape=ellipse]\n',
        '\t"invert-1" [label="invert <map>" shape=box]\n',
        '\t"total-1" [label=total shape=ellipse]\n',
        '\tcount -> "numbers-1" [label=count]\n',
        '\t"invert-1" -> "total-1" [label=xs]\n',
        '\t"numbers-1" -> "invert-1" [label=by]\n',
        '\t"numbers-1" -> "invert-1" [label=x style=dashed]\n',
    ]
    assert "rankdir" not in draw(flow).graph_attr
    assert draw(flow, horizontal=True).graph_attr == {"rankdir": "LR"}


def test_states_are_colours_and_children_are_drawn(flow):
    state = flow.run()
    drawn = draw(flow, state).body
    (first,) = (line for line in drawn if 'label="invert[0]"' in line)
    (second,) = (line for line in drawn if 'label="invert[1]"' in line)
    assert f'color="{Failed.color}80"' in first
    assert f'color="{Success.color}80"' in second
    assert "style=filled" in first
    assert '\t"invert-1/0" -> "total-1" [label=xs]\n' in drawn
    assert '\t"invert-1/1" -> "total-1" [label=xs]\n' in drawn
    assert len([line for line in drawn if '"numbers-1" -> "invert-1/' in line]) == 4


def test_where_the_drawing_goes(flow, tmp_path, monkeypatch):
    shell = types.SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    assert isinstance(flow.visualize(), graphviz.Digraph)
    if shutil.which("dot"):
        flow.visualize(filename=str(tmp_path / "flow"), format="svg")
        assert [path.name for path in tmp_path.iterdir()] == ["flow.svg"]
        assert "invert &lt;map&gt;" in (tmp_path / "flow.svg").read_text()


def test_without_graphviz(flow, monkeypatch):
    monkeypatch.setitem(sys.modules, "graphviz", None)
    with pytest.raises(ImportError, match=r"^This feature requires graphviz\.\nTry re-installing prefect with `pip"):
        flow.visualize()


def test_diagnostics_name_settings_and_no_values(flow, monkeypatch, tmp_path):
    (tmp_path / "config.toml").write_text('[logging]\nlevel = "private"\n[context.secrets]\nkey = "private"\n')
    monkeypatch.setenv("PREFECT__USER_CONFIG_PATH", str(tmp_path / "config.toml"))
    monkeypatch.setenv("PREFECT__LOGGING__FORMAT", "private")
    monkeypatch.setenv("PREFECT__CONTEXT__SECRETS__MINE", "private")
    flow.storage = Local(add_default_labels=False)
    flow.schedule = CronSchedule("0 0 * * *")
    text = flow.diagnostics()
    facts = json.loads(text)
    assert "private" not in text
    assert facts["system_information"]["prefect_backend"] == "server"
    assert set(facts["system_information"]) == {"platform", "python_version", "prefect_version", "prefect_backend"}
    assert facts["config_overrides"] == {"logging": {"level": True}, "context": {"secrets": False}}
    assert "PREFECT__LOGGING__FORMAT" in facts["env_vars"]
    assert not any("SECRETS" in name for name in facts["env_vars"])
    assert facts["flow_information"]["storage"] == {"type": "Local"}
    assert facts["flow_information"]["executor"] is False
    assert facts["flow_information"]["schedule"] == {"type": "Schedule", "clocks": ["CronClock"]}
    assert facts["flow_information"]["task_count"] == 4
    facts = json.loads(flow.diagnostics(include_secret_names=True))
    assert facts["config_overrides"]["context"] == {"secrets": {"key": True}}
    assert "PREFECT__CONTEXT__SECRETS__MINE" in facts["env_vars"]
