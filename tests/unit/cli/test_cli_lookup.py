"""Which options may name a flow together, and what is said about agents that could take a run."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from flowstead_cli.errors import CliError, LookupOptionsError
from flowstead_cli.lookup import check_lookup_options
from prefect.backend.agents import agent_hint

NOTHING = {"flow_id": None, "name": None, "project": None, "path": None, "module": None}


@pytest.mark.parametrize(
    "given",
    [
        {"flow_id": "x"},
        {"name": "x"},
        {"name": "x", "project": "y"},
        {"path": "x.py"},
        {"path": "x.py", "name": "y"},
        {"module": "x"},
        {"module": "x", "name": "y"},
    ],
)
def test_allowed_combinations(given):
    check_lookup_options(**{**NOTHING, **given})


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "Error: Received no options to look up the flow."),
        ({"flow_id": "x", "name": "y"}, "Error: Received too many options to look up the flow; cannot specify both"),
        ({"project": "x", "path": "y"}, "Error: Received too many options to look up the flow: --project, --path"),
        ({"flow_id": "", "module": ""}, "Error: Received too many options to look up the flow: --id, --module"),
    ],
)
def test_refused_combinations_name_the_allowed_ones(given, sentence):
    with pytest.raises(LookupOptionsError) as raised:
        check_lookup_options(**{**NOTHING, **given})
    assert raised.value.message.startswith(sentence)
    assert "--path (and --name if there are multiple flows in the script)" in raised.value.message


def test_a_project_alone_names_no_flow():
    with pytest.raises(CliError, match="Missing required option `--name`"):
        check_lookup_options(**{**NOTHING, "project": "x"})


@dataclass
class Agent:
    labels: list[str]
    seconds_ago: int | None = 5
    id: str = "id"
    name: str = "agent"

    @property
    def last_queried(self):
        return None if self.seconds_ago is None else datetime.now(UTC) - timedelta(seconds=self.seconds_ago)


@pytest.mark.parametrize(
    ("labels", "agents", "start"),
    [
        (
            ["x"],
            [Agent(["x", "y"])],
            "Agent id (agent) has matching labels and last queried a few seconds ago.",
        ),
        ([], [Agent([], name="")], "Agent id has matching labels"),
        (["x"], [Agent(["x"]), Agent(["x", "z"])], "Found 2 healthy agents with matching labels."),
        (["x"], [], "There are no healthy agents in your tenant"),
        (["x"], [Agent(["x"], None)], "There are no healthy agents in your tenant"),
        (["x"], [Agent(["x"], 310)], "Agent id (agent) has matching labels and last queried 5 minutes ago. Since it"),
        (["x"], [Agent(["x"], 310), Agent(["x"], 310)], "Found 2 agents with matching labels but they have not"),
        (["x"], [Agent(["y"])], "You have 1 healthy agents in your tenant but do not have an agent with labels {'x'}."),
        ([], [Agent(["y"])], "You have 1 healthy agents in your tenant but do not have an agent with empty labels."),
    ],
)
def test_the_sentence_about_agents(labels, agents, start):
    assert agent_hint(labels, agents).startswith(start)
