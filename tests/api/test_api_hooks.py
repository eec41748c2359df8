"""Cloud hooks: what is stored, and a test event on its way to a real receiver."""

from typing import Any

import pytest
from hook_receivers import receiver
from serialized_flows import serialized_flow

from flowstead_server.domain.addresses import AddressRules
from flowstead_server.domain.hook_rules import HookRules
from flowstead_server.orchestration.hook_sender import HookSender

NOBODY = "00000000-0000-4000-8000-000000000000"
NOBODY_LISTENS = "http://127.0.0.1:1/"


@pytest.fixture
def api(own_api: Any) -> Any:
    """A server that may call receivers on this machine."""
    own_api.database.part(HookSender).rules = HookRules(addresses=AddressRules(allow_private=True))
    return own_api


async def new_hook(api: Any, kind: str = "WEBHOOK", **config: Any) -> str:
    return (await api.mutate("create_cloud_hook", type=kind, states=["Failed"], config=config))["id"]


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
