"""Cloud hooks: storing them, and trying one out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from flowstead_server.domain.errors import FlowsteadError, ForeignKeyViolationError, NotFoundError
from flowstead_server.domain.hooks import (
    MESSAGE_TYPE,
    check_config,
    check_secret,
    checked_states,
    event_text,
    hook_requests,
)
from flowstead_server.domain.serialized_states import encode
from flowstead_server.orchestration.hook_sender import HookSender
from flowstead_server.store import hooks, messages

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from flowstead_server.db import Database
    from flowstead_server.domain.caller import Caller

# What a test event says of a run when none is named.
_DUMMY: Final = "test"
_DUMMY_SLUG: Final = "test-slug"


@dataclass(frozen=True, slots=True)
class CreateCloudHook:
    """A hook; null `version_group_id`: for every flow. `states` are names in any case. `secret` signs what is sent."""

    type: str
    states: Sequence[str]
    config: object = None
    name: str | None = None
    version_group_id: str | None = None
    secret: str | None = None
    tenant_id: UUID | None = None


async def create_cloud_hook(database: Database, caller: Caller, request: CreateCloudHook) -> UUID:
    """Store a hook. Raises ForeignKeyViolationError (another tenant), BadInputError (states, config, secret)."""
    if request.tenant_id not in {None, caller.tenant_id}:
        raise ForeignKeyViolationError
    states = encode(checked_states(request.states))
    rules = database.part(HookSender).rules
    config = encode(check_config(request.type, request.config, rules.addresses))
    secret = check_secret(request.type, request.secret)
    return await hooks.create(
        database, caller.tenant_id, request.type, request.name, request.version_group_id, states, config, secret
    )


async def set_cloud_hook_active(database: Database, caller: Caller, hook_id: UUID, *, active: bool) -> bool:
    """Switch a hook on or off; false if there is none. What waits for one that is off is sent when it is on again."""
    changed = await hooks.set_active(database, caller.tenant_id, hook_id, active=active)
    if changed and active:
        database.hints.runs_changed(())
    return changed


async def delete_cloud_hook(database: Database, caller: Caller, hook_id: UUID) -> bool:
    """Delete a hook with what waits for it; false if there is none."""
    return await hooks.delete(database, caller.tenant_id, hook_id)


async def try_cloud_hook(
    database: Database, caller: Caller, hook_id: UUID, flow_run_id: UUID | None, state_name: str
) -> str | None:
    """Send a test event through a hook; returns null, or in one sentence why it did not arrive."""
    try:
        hook = await hooks.get(database, caller.tenant_id, hook_id)
        if hook is None:
            raise NotFoundError(f"Cloud hook {hook_id} not found")
        sender = database.part(HookSender)
        rules = sender.rules
        event = await _test_event(database, caller, flow_run_id, state_name)
        if hook.type == "PREFECT_MESSAGE":
            content = encode({"type": MESSAGE_TYPE, "event": event})
            await messages.create(database, caller.tenant_id, MESSAGE_TYPE, event_text(event, rules.link_base), content)
        requests = hook_requests(
            hook.type, hook.config, event, link_base=rules.link_base, secret=hook.secret, timeout=rules.timeout
        )
        async with sender.deadline():
            for request in requests:
                await sender.send(request)
    except FlowsteadError as error:
        return error.message
    return None


async def _test_event(database: Database, caller: Caller, flow_run_id: UUID | None, state_name: str) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    run: dict[str, Any] = {"id": None, "name": _DUMMY, "version": None, "state": None}
    flow: dict[str, Any] = {"id": None, "name": _DUMMY, "flow_group_id": None, "version_group_id": None}
    slug = _DUMMY_SLUG
    if flow_run_id is not None:
        facts = await hooks.run_facts(database, caller.tenant_id, flow_run_id)
        if facts is None:
            raise NotFoundError(f"Flow run {flow_run_id} not found")
        run = {"id": str(flow_run_id), "name": facts.name, "version": facts.version, "state": facts.state}
        flow = {
            "id": str(facts.flow_id),
            "name": facts.flow_name,
            "flow_group_id": str(facts.flow_group_id),
            "version_group_id": facts.version_group_id,
        }
        slug = facts.tenant_slug
    message = f"Test {state_name} state"
    return {
        "id": str(uuid4()),
        "timestamp": now,
        "type": "FlowRunStateChange",
        "is_test_event": True,
        "flow_run": run,
        "state": {
            "id": None,
            "version": run["version"],
            "state": state_name,
            "message": message,
            "timestamp": now,
            "start_time": None,
            "serialized_state": {"type": state_name, "message": message},
            "flow_run_id": run["id"],
        },
        "flow": flow,
        "tenant": {"id": str(caller.tenant_id), "slug": slug},
    }
