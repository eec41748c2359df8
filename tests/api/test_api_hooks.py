"""Cloud hooks: what is stored, and a test event on its way to a real receiver."""

from typing import Any

import pytest
from hook_receivers import OK, receiver, status
from serialized_flows import serialized_flow

from flowstead_server.domain.addresses import AddressRules
from flowstead_server.domain.hook_rules import HookRules
from flowstead_server.orchestration.hook_sender import HookSender
from flowstead_server.services.hooks import Hooks

NOBODY = "00000000-0000-4000-8000-000000000000"
NOBODY_LISTENS = "http://127.0.0.1:1/"


@pytest.fixture
def api(own_api: Any) -> Any:
    """A server that may call receivers on this machine."""
    own_api.database.part(HookSender).rules = HookRules(addresses=AddressRules(allow_private=True))
    return own_api


async def new_hook(api: Any, kind: str = "WEBHOOK", secret: str | None = None, **config: Any) -> str:
    members = {"type": kind, "states": ["Failed"], "config": config, "secret": secret}
    return (await api.mutate("create_cloud_hook", **members))["id"]


async def attempt(api: Any, hook: str, **members: Any) -> Any:
    return await api.mutate("test_cloud_hook", "success error", cloud_hook_id=hook, **members)


async def test_hooks_are_stored_switched_and_deleted(api: Any) -> None:
    hook = await api.mutate(
        "create_cloud_hook",
        tenant_id=str(api.tenant_id),
        type="WEBHOOK",
        name="n",
        states=["failed", "FAILED", "Success"],
        config={"url": "https://example.com/x"},
        version_group_id=None,
    )
    ident = {"cloud_hook_id": hook["id"]}
    select = "name type states config active version_group_id"
    for name, active in (("set_cloud_hook_inactive", False), ("set_cloud_hook_active", True)):
        assert await api.mutate(name, "success", **ident) == {"success": True}
        (row,) = (await api.data(f"{{ cloud_hook {{ {select} }} }}"))["cloud_hook"]
        assert row == {
            "name": "n",
            "type": "WEBHOOK",
            "states": ["FAILED", "SUCCESS"],
            "config": {"url": "https://example.com/x"},
            "active": active,
            "version_group_id": None,
        }
    assert await api.mutate("delete_cloud_hook", "success", **ident) == {"success": True}
    for name in ("delete_cloud_hook", "set_cloud_hook_active", "set_cloud_hook_inactive"):
        assert await api.mutate(name, "success", **ident) == {"success": False}


@pytest.mark.parametrize(
    ("kind", "states", "config"),
    [
        ("WEBHOOK", [], {"url": "http://x"}),
        ("WEBHOOK", ["State"], {"url": "http://x"}),
        ("WEBHOOK", ["Failed", "nonsense"], {"url": "http://x"}),
        ("WEBHOOK", ["Failed"], None),
        ("WEBHOOK", ["Failed"], {}),
        ("WEBHOOK", ["Failed"], {"url": "http://x", "more": 1}),
        ("WEBHOOK", ["Failed"], {"url": 7}),
        ("WEBHOOK", ["Failed"], {"url": "file:///etc/passwd"}),
        ("WEBHOOK", ["Failed"], {"url": "http://[half"}),
        ("WEBHOOK", ["Failed"], {"url": "http://x:99999/"}),
        ("SLACK_WEBHOOK", ["Failed"], {"url": "nonsense"}),
        ("TWILIO", ["Failed"], {"account_sid": "a", "auth_token": "b", "messaging_service_sid": "c", "to": []}),
        ("PAGERDUTY", ["Failed"], {"api_token": "a", "routing_key": "b", "severity": "loud"}),
        ("PREFECT_MESSAGE", ["Failed"], [1]),
    ],
)
async def test_unusable_hooks(api: Any, kind: str, states: list[str], config: Any) -> None:
    message, code = await api.refusal("create_cloud_hook", type=kind, states=states, config=config)
    assert code == "BAD_USER_INPUT"
    if config == {"url": "http://x"}:
        assert message == "Invalid states"
    assert (await api.data("{ cloud_hook { id } }"))["cloud_hook"] == []


async def test_unknown_kinds_and_tenants(api: Any) -> None:
    assert (await api.refusal("create_cloud_hook", type="NONSENSE", states=["Failed"]))[1] == "BAD_USER_INPUT"
    members = {"type": "PREFECT_MESSAGE", "states": ["Failed"], "tenant_id": NOBODY}
    assert (await api.refusal("create_cloud_hook", **members))[0] == "Foreign key violation."


async def test_a_webhook_gets_the_event(api: Any) -> None:
    project = (await api.mutate("create_project", name="p"))["id"]
    flow = (await api.mutate("create_flow", project_id=project, serialized_flow=serialized_flow()))["id"]
    run = (await api.mutate("create_flow_run", flow_id=flow, flow_run_name="mine"))["id"]
    async with receiver() as other:
        hook = await new_hook(api, url=other.url)
        assert await attempt(api, hook, flow_run_id=run, state_type="FAILED") == {"success": True, "error": None}
        assert await attempt(api, hook) == {"success": True, "error": None}
    (head, body), (_, dummy) = other.requests
    event = body["event"]
    assert f"x-prefect-event-id: {event['id']}" in head
    assert event["type"] == "FlowRunStateChange"
    assert event["is_test_event"] is True
    assert event["flow_run"] == {"id": run, "name": "mine", "version": 1, "state": "Scheduled"}
    assert event["state"]["message"] == "Test Failed state"
    assert event["flow"]["id"] == flow
    assert event["tenant"] == {"id": str(api.tenant_id), "slug": "default"}
    assert dummy["event"]["state"]["state"] == "Success"
    assert dummy["event"]["tenant"]["slug"] == "test-slug"


async def test_slack_gets_four_sections(api: Any) -> None:
    async with receiver() as other:
        assert (await attempt(api, await new_hook(api, "SLACK_WEBHOOK", url=other.url)))["success"]
    ((_, body),) = other.requests
    assert [block["type"] for block in body["blocks"]] == ["section"] * 4


async def test_a_message_is_stored(api: Any) -> None:
    assert (await attempt(api, await new_hook(api, "PREFECT_MESSAGE"), state_type="RUNNING"))["success"]
    (row,) = (await api.data("{ message { type text content read } }"))["message"]
    assert row["type"] == row["content"]["type"] == "CLOUD_HOOK"
    assert row["content"]["event"]["state"]["state"] == "Running"
    assert row["read"] is False


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "did not answer within 1 seconds"),
        (b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", "with the status 500"),
        (b"HTTP/1.1 302 Go\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "with the status 302"),
        (b"nonsense\r\n\r\n", "cannot be reached"),
    ],
)
async def test_a_receiver_that_does_not_accept(api: Any, answer: bytes | None, reason: str) -> None:
    async with receiver(answer) as other:
        result = await attempt(api, await new_hook(api, "SLACK_WEBHOOK", url=other.url))
    assert result["success"] is False
    assert reason in result["error"]


async def test_failures_are_answered_and_not_raised(api: Any) -> None:
    hook = await new_hook(api, url=NOBODY_LISTENS)
    assert "cannot be reached" in (await attempt(api, hook))["error"]
    assert (await attempt(api, NOBODY))["error"] == f"Cloud hook {NOBODY} not found"
    assert (await attempt(api, hook, flow_run_id=NOBODY))["error"] == f"Flow run {NOBODY} not found"


async def new_run(api: Any) -> str:
    project = (await api.mutate("create_project", name="p"))["id"]
    flow = (await api.mutate("create_flow", project_id=project, serialized_flow=serialized_flow()))["id"]
    return (await api.mutate("create_flow_run", flow_id=flow, flow_run_name="mine"))["id"]


async def set_state(api: Any, run: str, name: str) -> None:
    states = [{"flow_run_id": run, "state": {"type": name, "message": "m"}}]
    await api.mutate("set_flow_run_states", "states { id }", states=states)


async def test_a_change_is_told_at_once_and_its_delivery_is_shown(api: Any) -> None:
    run = await new_run(api)
    service = Hooks(api.database, api.hub)
    service.interval = 3600.0
    async with receiver(status(503)) as other:
        hook = await new_hook(api, url=other.url, secret="hush")
        service.start()
        try:
            await set_state(api, run, "Failed")
            await other.wait_for(1)
            query = """{ cloud_hook_delivery {
                id state attempts last_error event_id
                cloud_hook { id } flow_run { name } flow_run_state { id state } } }"""
            row: dict[str, Any] = {}
            while not row.get("last_error"):
                (row,) = (await api.data(query))["cloud_hook_delivery"]
            assert row["flow_run_state"] == {"id": row["event_id"], "state": "Failed"}
            assert (row["cloud_hook"], row["flow_run"]) == ({"id": hook}, {"name": "mine"})
            assert (row["state"], row["attempts"]) == ("Waiting", 1)
            assert row["last_error"] == "The hook's receiver refused the event with the status 503."
            other.answer = OK
            answer = await api.mutate("retry_cloud_hook_delivery", "success", cloud_hook_delivery_id=row["id"])
            assert answer == {"success": True}
            await other.wait_for(2)
            while row["state"] != "Delivered":
                (row,) = (await api.data(query))["cloud_hook_delivery"]
            answer = await api.mutate("retry_cloud_hook_delivery", "success", cloud_hook_delivery_id=row["id"])
            assert answer == {"success": False}
            await set_state(api, run, "Failed")
            await other.wait_for(3)
        finally:
            await service.stop()
    assert [event["id"] for event in other.events[:2]] == [row["event_id"]] * 2
    assert service.figures.counts["delivered"] >= 1
    assert await service.oldest_work() == 0
    deliveries = (await api.data("{ cloud_hook { config deliveries { state } } }"))["cloud_hook"][0]
    assert deliveries == {"config": {"url": other.url}, "deliveries": [{"state": "Delivered"}] * 2}
    assert (
        "hush" not in (await api.post("{ cloud_hook { id name config states type } __schema { types { name } } }")).text
    )


async def test_secrets_and_addresses_inside_are_refused_where_they_make_no_sense(own_api: Any) -> None:
    message, code = await own_api.refusal(
        "create_cloud_hook", type="PREFECT_MESSAGE", states=["Failed"], config={}, secret="s"
    )
    assert (message, code) == (
        "Only WEBHOOK and SLACK_WEBHOOK hooks have a secret, not PREFECT_MESSAGE hooks.",
        "BAD_USER_INPUT",
    )
    for url in ("http://169.254.169.254/latest", "http://localhost:4200/", "http://[::1]/"):
        message, code = await own_api.refusal(
            "create_cloud_hook", type="WEBHOOK", states=["Failed"], config={"url": url}
        )
        assert code == "BAD_USER_INPUT"
        assert "PREFECT__SERVER__HOOKS__ALLOWED_HOSTS" in message
    # one that was stored before, or whose name means something else now
    hook = await own_api.database.fetch_value(
        "insert into cloud_hook (tenant_id, type, states, config) "
        "values ($1, 'WEBHOOK', '[\"FAILED\"]', '{\"url\": \"http://127.0.0.1:1/\"}') returning id",
        own_api.tenant_id,
    )
    result = await attempt(own_api, str(hook))
    assert result["success"] is False
    assert "has an address of this machine" in result["error"]
