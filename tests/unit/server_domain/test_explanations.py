"""Why a run waits (design §4): one reason, since when, until when, and a sentence that names the blocker."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from flowstead_server.domain.explanations import AgentFacts, Reason, RunFacts, explain

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def ago(seconds):
    return NOW - timedelta(seconds=seconds)


def run(state="Scheduled", **members):
    facts = RunFacts(
        id=UUID(int=1),
        state=state,
        state_message="a message",
        state_timestamp=ago(100),
        state_start_time=ago(90),
        queue_time=ago(90),
        claimed_start_time=None,
        labels=["gpu", "x"],
        agent_id=None,
        agent_name=None,
        heartbeat=None,
        now=NOW,
        waiting_task_runs=0,
        next_task_run=None,
        live_agents=0,
        live_fitting_agents=0,
        last_fitting_query=None,
        agents=[],
    )
    return replace(facts, **members)


def agent(name="a", labels=("x",), seen=5, missing=("gpu",)):
    return AgentFacts(UUID(int=2), name, "LocalAgent", labels, ago(seen), seen < 60, not missing, missing)


def ahead(seconds):
    return NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("facts", "reason", "since", "until", "message"),
    [
        (
            run(state_start_time=ahead(600), queue_time=ahead(600)),
            Reason.STARTS_LATER,
            ago(100),
            ahead(600),
            "The run starts in 10 minutes (2026-01-01 12:10:00 UTC).",
        ),
        (
            run("Retrying", state_start_time=ahead(1)),
            Reason.STARTS_LATER,
            ago(100),
            ahead(1),
            "The run is Retrying and starts in 1 second (2026-01-01 12:00:01 UTC).",
        ),
        (
            run("Paused", state_start_time=None, queue_time=None),
            Reason.PAUSED,
            ago(100),
            None,
            "The run waits until somebody resumes it: Paused: a message",
        ),
        (
            run("Queued", state_start_time=ahead(30)),
            Reason.QUEUED,
            ago(100),
            ahead(30),
            "The run is Queued and starts in 30 seconds (2026-01-01 12:00:30 UTC). a message",
        ),
        (
            run(),
            Reason.NO_AGENT,
            ago(90),
            None,
            "No agent has asked for runs within the last minute. Start an agent with the labels {'gpu', 'x'}.",
        ),
        (
            run(live_agents=2, agents=[agent(), agent("", (), missing=("gpu", "x"))]),
            Reason.NO_AGENT,
            ago(90),
            None,
            (
                "None of the live agents (2) has all the labels {'gpu', 'x'} of the "
                "run. Closest: Agent 'a' lacks {'gpu'}; "
                "Agent 00000000-0000-0000-0000-000000000002 lacks {'gpu', 'x'}. Start "
                "an agent with the labels {'gpu', 'x'}."
            ),
        ),
        (
            run(labels=[], live_agents=1, agents=[agent(missing=()), replace(agent(missing=()), fits=False)][1:]),
            Reason.NO_AGENT,
            ago(90),
            None,
            (
                "The run has no labels, but all live agents (1) have some, and take only runs with labels. "
                "Closest: Agent 'a' has {'x'}. Start an agent with no labels."
            ),
        ),
        # the last agent that fitted went away 10 seconds ago: it asked 70 seconds ago
        (
            run(last_fitting_query=ago(70), agents=[agent(labels=("gpu", "x"), seen=70, missing=())]),
            Reason.NO_AGENT,
            ago(10),
            None,
            (
                "No agent has asked for runs within the last minute. Agent 'a' fits, but was last seen 1 minute ago. "
                "Start an agent with the labels {'gpu', 'x'}."
            ),
        ),
        (
            run(live_agents=1, live_fitting_agents=1, agents=[agent(missing=())]),
            Reason.AGENT_EXPECTED,
            ago(90),
            None,
            "Agent 'a' may take the run, and should as soon as it has room.",
        ),
        (
            run(queue_time=ahead(8)),
            Reason.AGENT_EXPECTED,
            ago(90),
            ahead(8),
            (
                "An agent that polls has been handed the run and has yet to submit it; unless it does, the run goes to "
                "another in 8 seconds (2026-01-01 12:00:08 UTC)."
            ),
        ),
        (
            run("Submitted", agent_id=UUID(int=2), agent_name="a", queue_time=ahead(9), state_timestamp=ago(3)),
            Reason.CLAIMED,
            ago(3),
            ahead(9),
            (
                "Agent 'a' has claimed the run, which is not yet running after 3 "
                "seconds; unless the agent keeps its claim "
                "or starts the run, it goes to another in 9 seconds (2026-01-01 12:00:09 UTC)."
            ),
        ),
        (
            run("Submitted", agent_id=UUID(int=2), agent_name="a", queue_time=ahead(25), claimed_start_time=ahead(5)),
            Reason.STARTS_LATER,
            ago(100),
            ahead(5),
            "The run starts in 5 seconds (2026-01-01 12:00:05 UTC); agent 'a' has it already.",
        ),
        (
            run("Submitted", queue_time=None, state_timestamp=ago(3), claimed_start_time=ago(4)),
            Reason.CLAIMED,
            ago(3),
            None,
            "An agent has claimed the run, which is not yet running after 3 seconds.",
        ),
        (
            run("Submitted", agent_id=UUID(int=2), queue_time=ago(2), state_timestamp=ago(17)),
            Reason.NO_AGENT,
            ago(2),
            None,
            (
                "Agent 00000000-0000-0000-0000-000000000002 has claimed the run, "
                "which is not yet running after 17 seconds, "
                "and the claim has ended. No agent has asked for runs within the last minute. Start an agent with the "
                "labels {'gpu', 'x'}."
            ),
        ),
        (
            run("Running", agent_id=UUID(int=2), agent_name="a", heartbeat=ago(10)),
            Reason.RUNNING,
            ago(100),
            None,
            "The run is running, started by agent 'a'.",
        ),
        (
            run("Running", waiting_task_runs=1, next_task_run=ahead(60), heartbeat=ago(70)),
            Reason.TASKS_WAIT,
            ago(100),
            ahead(60),
            "No task of the run is running: 1 task run is waiting, the next one in 1 minute (2026-01-01 12:01:00 UTC).",
        ),
        (
            run("Running", heartbeat=ago(70)),
            Reason.SILENT,
            ago(70),
            None,
            "The run is Running, but its process has given no sign of life for 1 minute.",
        ),
        (
            run("Cancelling"),
            Reason.CANCELLING,
            ago(100),
            None,
            "The run is being cancelled: its process has yet to end.",
        ),
        (run("Failed"), Reason.FINISHED, ago(100), None, "The run is finished: Failed: a message"),
        (
            run("ClientFailed", state_message=None),
            Reason.NOT_SCHEDULED,
            ago(100),
            None,
            "No agent takes a run that is ClientFailed. It has to become Scheduled first.",
        ),
    ],
)
def test_the_reason_is_exact(facts, reason, since, until, message):
    found = explain(facts)
    assert (found.reason, found.since, found.until) == (reason, since, until)
    assert found.message == message
