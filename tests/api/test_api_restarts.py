"""Restarting a flow run through the API: what runs again, once, and what is refused."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from serialized_flows import serialized_edge, serialized_flow, serialized_task

from flowstead_server.domain.caller import Caller
from flowstead_server.orchestration.queue import ClaimFlowRuns, claim_flow_runs

ANSWER = "id kept cursor again { id task_slug task_name map_index reason }"
SLUGS = ["a", "b", "c", "d"]
STORED = {"type": "LocalResult", "dir": "/r", "location": "/r/x"}
STATE = "{ state state_message version serialized_state states(order_by: {version: asc}) { state message } }"


class Chain:
    """A flow run of four tasks in a row, values passed on: a and b succeeded, c failed, d never ran."""

    def __init__(self, api: Any) -> None:
        self.api = api

    async def make(self, *, b_stored: bool = True) -> "Chain":
        project = await self.api.mutate("create_project", name="project")
        edges = [serialized_edge("a", "b", key="x"), serialized_edge("b", "c", key="x"), serialized_edge("c", "d")]
        flow = await self.api.mutate(
            "create_flow",
            project_id=project["id"],
            serialized_flow=serialized_flow(tasks=[serialized_task(slug) for slug in SLUGS], edges=edges),
        )
        self.flow = flow["id"]
        self.run = (await self.api.mutate("create_flow_run", flow_id=self.flow))["id"]
        rows = (await self.api.data("{ task_run { id task { slug } } }"))["task_run"]
        self.tasks = {row["task"]["slug"]: row["id"] for row in rows}
        await self.set("Running")
        for slug, stored in (("a", False), ("b", b_stored)):
            result = STORED if stored else {"type": "LocalResult", "dir": "/r", "location": None}
            await self.set_task(slug, "Success", _result=result)
        await self.set_task("c", "Failed")
        await self.set_task("d", "TriggerFailed")
        await self.set("Failed")
        return self

    async def set(self, name: str) -> None:
        states = [{"flow_run_id": self.run, "state": {"type": name, "message": name}}]
        await self.api.mutate("set_flow_run_states", "states { id }", states=states)

    async def set_task(self, slug: str, name: str, **members: Any) -> None:
        states = [{"task_run_id": self.tasks[slug], "state": {"type": name, **members}}]
        await self.api.mutate("set_task_run_states", "states { id }", states=states)

    async def restart(self, **members: Any) -> Any:
        return await self.api.mutate("restart_flow_run", ANSWER, flow_run_id=self.run, **members)

    async def stored(self) -> dict[str, Any]:
        run = (await self.api.data(f'{{ flow_run_by_pk(id: "{self.run}") {STATE} }}'))["flow_run_by_pk"]
        tasks = (await self.api.data(f"{{ task_run {{ task {{ slug }} {STATE[1:]} }}"))["task_run"]
        return {"run": run, **{task["task"]["slug"]: task for task in tasks}}


def reasons(answer: Any) -> dict[str, str]:
    return {task["task_slug"]: task["reason"] for task in answer["again"]}


async def test_what_did_not_succeed_runs_again(api: Any) -> None:
    chain = await Chain(api).make()
    preview = await chain.restart(dry_run=True)
    assert (await chain.stored())["run"]["state"] == "Failed"
    answer = await chain.restart()
    assert answer["id"] == chain.run
    assert reasons(answer) == {"c": "FAILED", "d": "UNFINISHED"}
    assert (preview["again"], preview["kept"], preview["cursor"]) == (answer["again"], 2, None)
    assert {task["id"] for task in answer["again"]} == {chain.tasks["c"], chain.tasks["d"]}
    stored = await chain.stored()
    assert [state["state"] for state in stored["run"]["states"]] == ["Scheduled", "Running", "Failed", "Scheduled"]
    expected = "Flow run restarted after it was Failed: 2 task run(s) run again, 2 are kept."
    assert stored["run"]["state_message"] == expected
    assert [stored[slug]["state"] for slug in SLUGS] == ["Success", "Success", "Pending", "Pending"]
    assert [state["state"] for state in stored["c"]["states"]] == ["Pending", "Failed", "Pending"]
    assert stored["c"]["state_message"] == "Flow run restarted; this task runs again because it had failed."
    # whoever watches from the cursor on sees the restart, and nothing of before
    page = await api.data(
        "query($id: UUID!, $after: String) { flow_run_event_page(flow_run_id: $id, after: $after) "
        "{ finished events { kind state message } } }",
        {"id": chain.run, "after": answer["cursor"]},
    )
    events = page["flow_run_event_page"]["events"]
    assert [event["state"] for event in events] == ["Scheduled", "Pending", "Pending", None]
    assert events[-1]["message"] == "The flow run was restarted: 2 task run(s) run again, 2 are kept."
    assert page["flow_run_event_page"]["finished"] is False


async def test_results_that_are_not_at_hand_are_made_anew(api: Any) -> None:
    chain = await Chain(api).make(b_stored=False)
    answer = await chain.restart()
    assert reasons(answer) == {"a": "RESULT_MISSING", "b": "RESULT_MISSING", "c": "FAILED", "d": "UNFINISHED"}
    assert answer["kept"] == 0


async def test_a_restarted_run_is_claimed_anew_and_its_old_process_is_fenced(api: Any) -> None:
    chain = await Chain(api).make()
    agent = (await api.mutate("register_agent", type="LocalAgent", name="agent"))["id"]
    await api.database.execute("update flow_run set claim_token = $1, times_resurrected = 3", uuid4())
    (old,) = await api.database.fetch("select claim_token from flow_run")
    await chain.restart()
    (row,) = await api.database.fetch("select claim_token, times_resurrected from flow_run")
    assert tuple(row) == (None, 0)
    state = [{"flow_run_id": chain.run, "state": {"type": "Success"}}]
    (error,) = await api.errors(
        "mutation($input: set_flow_run_states_input!) { set_flow_run_states(input: $input) { states { id } } }",
        {"input": {"states": state}},
        **{"X-PREFECT-CLAIM-TOKEN": str(old[0])},
    )
    assert error["extensions"]["code"] == "VERSION_LOCKING_ERROR"
    claims = await claim_flow_runs(api.database, Caller(api.tenant_id), ClaimFlowRuns(agent_id=agent))
    assert [str(run.id) for run in claims.flow_runs] == [chain.run]


async def test_a_run_may_get_other_labels(api: Any) -> None:
    chain = await Chain(api).make()
    message, code = await api.refusal("restart_flow_run", flow_run_id=chain.run, labels=["a", "\0"])
    assert code == "BAD_USER_INPUT", message
    await chain.restart(labels=["big", "a", "a"])
    run = await api.data(f'{{ flow_run_by_pk(id: "{chain.run}") {{ labels state }} }}')
    assert run["flow_run_by_pk"] == {"labels": ["a", "big"], "state": "Scheduled"}
    for labels, claimed in ((["a"], []), (["a", "big", "c"], [chain.run])):
        agent = (await api.mutate("register_agent", type="LocalAgent", name=str(labels), labels=labels))["id"]
        claims = await claim_flow_runs(
            api.database, Caller(api.tenant_id), ClaimFlowRuns(agent_id=agent, labels=labels)
        )
        assert [str(run.id) for run in claims.flow_runs] == claimed


async def test_of_many_restarts_at_once_one_acts(api: Any) -> None:
    chain = await Chain(api).make()
    query = "mutation($input: restart_flow_run_input!) { restart_flow_run(input: $input) { id } }"
    answers = await asyncio.gather(*(api.post(query, {"input": {"flow_run_id": chain.run}}) for _ in range(12)))
    errors = [answer.json()["errors"][0] for answer in answers if "errors" in answer.json()]
    assert len(errors) == 11
    assert {error["extensions"]["code"] for error in errors} == {"STATE_UPDATE_FAILED"}
    message = f"Flow run {chain.run} is Scheduled: only a run that has ended can be restarted."
    assert {error["message"] for error in errors} == {f"{message} Cancel it first, or let it end."}
    assert len((await chain.stored())["c"]["states"]) == 3


async def test_of_many_with_one_key_all_get_the_same_answer(api: Any) -> None:
    chain = await Chain(api).make(b_stored=False)
    answers = await asyncio.gather(*(chain.restart(idempotency_key="k") for _ in range(12)))
    assert answers == [answers[0]] * 12
    assert answers[0]["cursor"] is not None
    assert len((await chain.stored())["run"]["states"]) == 4
    # also when the run has gone on meanwhile
    await chain.set("Running")
    await chain.set_task("a", "Success", _result=STORED)
    assert await chain.restart(idempotency_key="k") == answers[0]
    await chain.set("Failed")
    again = await chain.restart(idempotency_key="another")
    assert (again["kept"], len(again["again"])) == (1, 3)


@pytest.mark.parametrize("state", ["Running", "Cancelling", "Submitted", "Scheduled", "Paused"])
async def test_a_run_that_has_not_ended_is_left_alone(api: Any, state: str) -> None:
    chain = await Chain(api).make()
    for name in ("Scheduled", state):
        await chain.set(name)
    message, code = await api.refusal("restart_flow_run", flow_run_id=chain.run)
    assert code == "STATE_UPDATE_FAILED"
    assert f"is {state}: only a run that has ended" in message


async def test_a_run_that_succeeded(api: Any) -> None:
    chain = await Chain(api).make()
    await chain.set("Success")
    # its reference tasks succeeded, others did not
    assert reasons(await chain.restart(dry_run=True)) == {"c": "FAILED", "d": "UNFINISHED"}
    for slug in ("c", "d"):
        await chain.set_task(slug, "Success")
    message, code = await api.refusal("restart_flow_run", flow_run_id=chain.run)
    assert code == "STATE_UPDATE_FAILED"
    assert "has succeeded, so nothing of it has to run again" in message
    assert reasons(await chain.restart(tasks=["b"])) == {"a": "RESULT_MISSING", "b": "ASKED"}


async def test_what_does_not_exist(api: Any) -> None:
    chain = await Chain(api).make()
    message, code = await api.refusal("restart_flow_run", flow_run_id=chain.run, tasks=["b", "nope"])
    assert (message, code) == ("The flow has no task 'nope'; its tasks are a, b, c, d.", "BAD_USER_INPUT")
    many = ["n" * 1000, *(f"x{number:05}" for number in range(5_000))]
    message, code = await api.refusal("restart_flow_run", flow_run_id=chain.run, tasks=many)
    assert (message[:80], len(message) < 400, code) == (
        f"The flow has no task '{'n' * 58}",
        True,
        "BAD_USER_INPUT",
    )
    assert "and 4981 more; its tasks are a, b, c, d." in message
    missing = str(uuid4())
    message, code = await api.refusal("restart_flow_run", flow_run_id=missing)
    assert (message, code) == (f"Flow run {missing} not found", "NOT_FOUND")


async def test_strange_states_are_no_obstacle(api: Any) -> None:
    chain = await Chain(api).make()
    for slug, state in (
        ("a", {"type": "Mapped", "n_map_states": 1e30}),
        ("b", {"type": "Success", "_result": [1]}),
        ("c", {"type": "Mapped", "n_map_states": "many"}),
        ("d", {"type": "Success", "_result": {"type": {}, "location": {}}}),
    ):
        await api.mutate(
            "set_task_run_states", "states { id }", states=[{"task_run_id": chain.tasks[slug], "state": state}]
        )
    assert reasons(await chain.restart()) == {}
