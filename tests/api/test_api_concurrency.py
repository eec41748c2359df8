"""Limits and priority over HTTP: setting them, what a waiting run says, and waiting for a slot."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from api_world import Api
from serialized_flows import serialized_flow

EXPLAIN = "query($id: UUID!) { flow_run_explanation(flow_run_id: $id) { reason message } }"
WAIT = (
    "query($run: UUID, $task: UUID, $for: Int) { wait_for_slot(flow_run_id: $run, task_run_id: $task, seconds: $for) }"
)
STATES = "states { status message }"


class World:
    """A flow in a server of its own, an agent with the label `db`, and names for its runs."""

    def __init__(self, api: Api, flow_id: str, group_id: str, agent_id: str) -> None:
        self.api, self.flow_id, self.group_id, self.agent_id = api, flow_id, group_id, agent_id

    async def run(self, name: str, **members: Any) -> str:
        members = {"labels": ["db"], **members}
        created = await self.api.mutate("create_flow_run", flow_id=self.flow_id, flow_run_name=name, **members)
        run_id: str = created["id"]
        return run_id

    async def explained(self, run_id: str) -> tuple[str, str]:
        found = (await self.api.data(EXPLAIN, {"id": run_id}))["flow_run_explanation"]
        return found["reason"], found["message"]

    async def claimed(self, limit: int = 10) -> list[str]:
        found = await self.api.mutate(
            "claim_flow_runs", "flow_runs { name }", agent_id=self.agent_id, labels=["db"], limit=limit
        )
        return [run["name"] for run in found["flow_runs"]]

    async def put(self, run_id: str, name: str) -> str:
        members = [{"flow_run_id": run_id, "state": {"type": name}}]
        status: str = (await self.api.mutate("set_flow_run_states", STATES, states=members))["states"][0]["status"]
        return status

    async def put_task(self, task_run_id: str, name: str) -> str:
        members = [{"task_run_id": task_run_id, "state": {"type": name}}]
        status: str = (await self.api.mutate("set_task_run_states", STATES, states=members))["states"][0]["status"]
        return status

    async def tasks(self, run_id: str) -> list[str]:
        query = "query($id: uuid!) { flow_run_by_pk(id: $id) { task_runs(order_by: {id: asc}) { id } } }"
        return [row["id"] for row in (await self.api.data(query, {"id": run_id}))["flow_run_by_pk"]["task_runs"]]


@pytest.fixture
async def world(own_api: Api) -> World:
    project = await own_api.mutate("create_project", name="project")
    flow = serialized_flow()
    flow["tasks"] = [{**task, "tags": ["tag"]} for task in flow["tasks"]]
    flow_id = (await own_api.mutate("create_flow", project_id=project["id"], serialized_flow=flow))["id"]
    group = await own_api.data(f'{{ flow_by_pk(id: "{flow_id}") {{ flow_group_id }} }}')
    agent = await own_api.mutate("register_agent", type="LocalAgent", name="agent", labels=["db"])
    return World(own_api, flow_id, group["flow_by_pk"]["flow_group_id"], agent["id"])


async def test_a_run_says_which_limit_it_waits_for_and_who_holds_it(world: World) -> None:
    await world.api.mutate("update_flow_concurrency_limit", "id", label="db", limit=2)
    first, _, third = [await world.run(name) for name in ("first", "second", "third")]
    assert await world.claimed() == ["first", "second"]
    full = "The concurrency limit of the label 'db' (2) is full: held by 'first', 'second'."
    assert await world.explained(third) == ("CONCURRENCY_LIMIT", full)
    # one whose process waits, and one that has to let it go first
    assert await world.put(third, "Running") == "QUEUED"
    assert await world.explained(third) == ("CONCURRENCY_LIMIT", full)
    fourth = await world.run("fourth")
    await world.put(first, "Success")
    assert await world.explained(fourth) == (
        "CONCURRENCY_LIMIT",
        "The concurrency limit of the label 'db' (2) is full: held by 'second'; 1 slot is kept for waiting processes.",
    )
    await world.api.mutate("set_flow_group_concurrency_limit", "success", flow_group_id=world.group_id, limit=0)
    await world.api.mutate("update_flow_concurrency_limit", "id", label="db", limit=20)
    assert await world.explained(fourth) == (
        "CONCURRENCY_LIMIT",
        "The concurrency limit of the flow 'flow' (0) lets nothing start. Raise it.",
    )
    found = await world.api.data(f'{{ flow_group_by_pk(id: "{world.group_id}") {{ concurrency_limit }} }}')
    assert found["flow_group_by_pk"] == {"concurrency_limit": 0}
    # without an agent a slot would not help
    lonely = await world.run("lonely", labels=["other"])
    reason, message = await world.explained(lonely)
    assert reason == "CONCURRENCY_LIMIT"
    assert message.endswith("Start an agent with the labels {'other'}.")
    await world.api.mutate("set_flow_group_concurrency_limit", "success", flow_group_id=world.group_id, limit=None)
    assert (await world.explained(fourth))[0] == "AGENT_EXPECTED"
    refused = await world.api.refusal(
        "set_flow_group_concurrency_limit", "success", flow_group_id=world.group_id, limit=-1
    )
    assert refused == ("A limit must be 0 or more, but this one is -1.", "BAD_USER_INPUT")
    nobody = await world.api.mutate("set_flow_group_concurrency_limit", "success", flow_group_id=str(uuid4()), limit=1)
    assert nobody == {"success": False}


async def test_a_run_says_which_tag_its_tasks_wait_for(world: World) -> None:
    await world.api.mutate("update_task_tag_limit", "id", tag="tag", limit=1)
    runs = [await world.run(name) for name in ("one", "two")]
    for run_id in runs:
        await world.put(run_id, "Running")
    held, waiting = [(await world.tasks(run_id))[0] for run_id in runs]
    assert await world.put_task(held, "Running") == "SUCCESS"
    assert await world.put_task(waiting, "Running") == "QUEUED"
    assert await world.explained(runs[1]) == (
        "CONCURRENCY_LIMIT",
        "1 task run of the run waits: The task tag limit 'tag' (1) is full: held by 'one'.",
    )
    assert (await world.explained(runs[0]))[0] == "RUNNING"


async def test_whoever_waits_for_a_slot_is_woken_when_there_is_one(world: World) -> None:
    await world.api.mutate("update_task_tag_limit", "id", tag="tag", limit=1)
    await world.api.mutate("update_flow_concurrency_limit", "id", label="db", limit=2)
    first, second, third = [await world.run(name) for name in ("first", "second", "third")]
    for run_id in (first, second):
        assert await world.put(run_id, "Running") == "SUCCESS"
    assert await world.put(third, "Running") == "QUEUED"
    held, waiting = (await world.tasks(first))[0], (await world.tasks(second))[0]
    assert await world.put_task(held, "Running") == "SUCCESS"
    assert await world.put_task(waiting, "Running") == "QUEUED"
    for variables in ({"run": third, "for": 0}, {"task": waiting, "for": 0}):
        assert (await world.api.data(WAIT, variables))["wait_for_slot"] is False
    async with asyncio.timeout(5):
        tasks = asyncio.create_task(world.api.data(WAIT, {"task": waiting}))
        flows = asyncio.create_task(world.api.data(WAIT, {"run": third, "for": 10}))
        while world.api.hub.follower_count < 2:  # noqa: ASYNC110 - a request that waits sets no event
            await asyncio.sleep(0.01)
        # news about other things wake nobody
        await world.run("fourth")
        await world.put_task(held, "Success")
        assert (await tasks)["wait_for_slot"] is True
        assert not flows.done()
        await world.put(first, "Success")
        assert (await flows)["wait_for_slot"] is True
    assert await world.put(third, "Running") == "SUCCESS"
    # a server that stops keeps nobody waiting
    fifth = await world.run("fifth")
    assert await world.put(fifth, "Running") == "QUEUED"
    async with asyncio.timeout(5):
        last = asyncio.create_task(world.api.data(WAIT, {"run": fifth}))
        while not world.api.hub.follower_count:  # noqa: ASYNC110 - a request that waits sets no event
            await asyncio.sleep(0.01)
        world.api.hub.release()
        assert (await last)["wait_for_slot"] is False
    # who does not wait need not wait
    assert (await world.api.data(WAIT, {"run": third}))["wait_for_slot"] is True


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ({}, "BAD_USER_INPUT"),
        ({"run": str(uuid4()), "task": str(uuid4())}, "BAD_USER_INPUT"),
        ({"run": str(uuid4()), "for": 11}, "BAD_USER_INPUT"),
        ({"run": str(uuid4()), "for": -1}, "BAD_USER_INPUT"),
        ({"run": str(uuid4())}, "NOT_FOUND"),
        ({"task": str(uuid4())}, "NOT_FOUND"),
    ],
)
async def test_questions_for_slots_that_make_no_sense(shared_api: Api, variables: dict[str, Any], code: str) -> None:
    answer = (await shared_api.post(WAIT, variables)).json()
    assert [error["extensions"]["code"] for error in answer["errors"]] == [code]


async def test_priority_is_set_with_a_run_or_while_it_waits(world: World) -> None:
    await world.run("low")
    high = await world.run("high", priority=3)
    await world.run("higher", priority=4)
    assert await world.api.mutate("set_flow_run_priority", "success", flow_run_id=high, priority=5) == {"success": True}
    found = await world.api.data("{ flow_run(order_by: {priority: desc}) { name priority } }")
    assert [(run["name"], run["priority"]) for run in found["flow_run"]] == [("high", 5), ("higher", 4), ("low", 0)]
    assert await world.claimed() == ["high", "higher", "low"]
    sentence = "A priority must be -100 to 100, but this one is 101."
    for name, members in (
        ("set_flow_run_priority", {"flow_run_id": high}),
        ("create_flow_run", {"flow_id": world.flow_id}),
    ):
        selection = "success" if name.startswith("set") else "id"
        assert await world.api.refusal(name, selection, priority=101, **members) == (sentence, "BAD_USER_INPUT")
