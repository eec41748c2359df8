"""Flow runs: creating, naming, signs of life."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

from flowstead_server.domain.errors import (
    ApiUnavailableError,
    BadInputError,
    ConflictError,
    FlowsteadError,
    NotFoundError,
)
from flowstead_server.domain.ids import new_id
from flowstead_server.domain.labels import normalized, resolve_labels
from flowstead_server.domain.names import generate_run_name
from flowstead_server.domain.parameters import resolve_parameters
from flowstead_server.domain.priorities import checked_priority
from flowstead_server.domain.serialized_states import encode
from flowstead_server.orchestration.batcher import Batcher
from flowstead_server.orchestration.claims import check_claim
from flowstead_server.store import flow_runs as store
from flowstead_server.store import task_runs as task_run_store
from flowstead_server.store.label_sets import LabelSets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from flowstead_server.db import Database
    from flowstead_server.domain.caller import Caller

_MAX_KEY_BYTES: Final = 2000
_MAX_NAME_BYTES: Final = 1000
_KEY_ATTEMPTS: Final = 3
_AT_ONCE: Final = 250
_BYTES_AT_ONCE: Final = 2_000_000


@dataclass(frozen=True, slots=True)
class CreateFlowRun:
    """A run of a flow: the first id that is given, in this order, names it. Null members take the flow's defaults.

    With an idempotency key that a run of the same flow holds already, that run is meant. A start time without zone is
    UTC.
    """

    flow_id: UUID | None = None
    flow_group_id: UUID | None = None
    version_group_id: str | None = None
    parameters: Mapping[str, Any] | None = None
    context: Mapping[str, Any] | None = None
    labels: Sequence[str] | None = None
    run_config: Mapping[str, Any] | None = None
    scheduled_start_time: datetime | None = None
    idempotency_key: str | None = None
    flow_run_name: str | None = None
    parent_flow_run_id: UUID | None = None
    schedule_lease: UUID | None = None
    """Of runs by schedule: made only while the scheduler's lease on the flow is this one."""
    priority: int | None = None
    """Whether it goes before or after others: a point counts as much as ten minutes of waiting; -100 to 100."""


async def create_flow_run(database: Database, caller: Caller, request: CreateFlowRun) -> UUID:
    """Create a run in state Scheduled, with its task runs; return its id, or that of the run that holds the key.

    Raises BadInputError (no flow named, archived flow, missing required parameters, unusable members) and
    NotFoundError.
    """
    return await database.part(FlowRunCreator).create(caller, request)


# The flow, and the priority that is asked for.
_CommonKey = tuple[store.FlowKey, int | None]


@dataclass(frozen=True, slots=True)
class _Terms:
    """What a run gets from its flow and its request; runs that ask for nothing of their own have them in common."""

    labels: list[str]
    label_set_id: int
    run_config: str | None
    parameters: str
    priority: int


@dataclass(frozen=True, slots=True)
class _Wanted:
    key: store.FlowKey
    request: CreateFlowRun
    size: int


class FlowRunCreator:
    """Creates runs on one database, those asked for at the same time together. Get it with `database.part`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._batcher: Batcher[_Wanted, UUID] = Batcher(self._run, weigh=lambda item: item.size)

    async def create(self, caller: Caller, request: CreateFlowRun) -> UUID:
        """Do as `create_flow_run`."""
        return await self._batcher.submit(_wanted(caller, request))

    async def create_all(self, requests: Sequence[tuple[Caller, CreateFlowRun]]) -> list[UUID | FlowsteadError]:
        """Create many runs in few statements; return for each what `create` returns or raises.

        Runs that others ask for meanwhile do not wait behind these. Raises ApiUnavailableError.
        """
        answers: list[UUID | FlowsteadError | None] = [None] * len(requests)
        chunk: dict[int, _Wanted] = {}
        size = 0
        for index, (caller, request) in enumerate(requests):
            try:
                item = _wanted(caller, request)
            except FlowsteadError as error:
                answers[index] = error
                continue
            if len(chunk) >= _AT_ONCE or size + item.size > _BYTES_AT_ONCE:
                await self._answer(chunk, answers)
                chunk, size = {}, 0
            chunk[index] = item
            size += item.size
        await self._answer(chunk, answers)
        return [answer for answer in answers if answer is not None]

    async def _answer(self, chunk: Mapping[int, _Wanted], answers: list[UUID | FlowsteadError | None]) -> None:
        if not chunk:
            return
        wanted = list(chunk.values())
        try:
            found = await self._run(wanted)
        except FlowsteadError as error:
            if isinstance(error, ApiUnavailableError) and not isinstance(error, ConflictError):
                raise
            # One of them is the reason, and the others need not suffer.
            found = await self._batcher.submit_all(wanted)
        for index, answer in zip(chunk, found, strict=True):
            answers[index] = answer

    async def _run(self, wanted: list[_Wanted]) -> list[UUID | FlowsteadError]:
        flows = await store.read_flows(self._database, list({item.key for item in wanted}))
        parents = {
            (item.key.tenant_id, item.request.parent_flow_run_id)
            for item in wanted
            if item.request.parent_flow_run_id is not None
        }
        known = await store.known(self._database, parents) if parents else set()
        answers: dict[int, UUID | FlowsteadError] = {}
        runs: dict[int, store.NewFlowRun] = {}
        terms: dict[_CommonKey, _Terms] = {}
        for index, item in enumerate(wanted):
            try:
                parent = item.request.parent_flow_run_id
                if parent is not None and parent not in known:
                    raise NotFoundError(f"The parent flow run {parent} does not exist.")
                runs[index] = await self._new_run(item, flows.get(item.key), terms)
            except FlowsteadError as error:
                answers[index] = error
        for _ in range(_KEY_ATTEMPTS):
            missing = {index: run for index, run in runs.items() if index not in answers}
            if not missing:
                break
            answers.update(await self._create(missing))
        conflict = ConflictError("The run with this idempotency key is being deleted; please try again.")
        return [answers.get(index, conflict) for index in range(len(wanted))]

    async def _create(self, runs: Mapping[int, store.NewFlowRun]) -> dict[int, UUID | FlowsteadError]:
        created = await store.create(self._database, runs.values())
        queues: dict[UUID, set[int]] = {}
        for run in runs.values():
            if run.id in created:
                queues.setdefault(run.tenant_id, set()).add(run.label_set_id)
        for tenant_id, label_set_ids in queues.items():
            self._database.hints.queue_changed(tenant_id, label_set_ids)
        if created:
            self._database.hints.runs_changed(created)
        answers: dict[int, UUID | FlowsteadError] = {index: run.id for index, run in runs.items() if run.id in created}
        keys = {
            index: (run.flow_id, run.idempotency_key)
            for index, run in runs.items()
            if index not in answers and run.idempotency_key is not None
        }
        if keys:
            holders = await store.by_idempotency_key(self._database, set(keys.values()))
            answers.update({index: holders[key] for index, key in keys.items() if key in holders})
        return answers

    async def _new_run(
        self, item: _Wanted, flow: store.FlowFacts | None, known: dict[_CommonKey, _Terms]
    ) -> store.NewFlowRun:
        request = item.request
        if flow is None:
            raise _unknown_flow(item.key)
        if flow.archived:
            raise BadInputError(f"Flow {flow.id} is archived.")
        if request.parameters or request.labels is not None or request.run_config is not None:
            terms = await self._terms(item, flow)
        else:
            common = (item.key, request.priority)
            terms = known[common] = known.get(common) or await self._terms(item, flow)
        start = request.scheduled_start_time
        return store.NewFlowRun(
            id=new_id(),
            tenant_id=item.key.tenant_id,
            flow_id=flow.id,
            name=request.flow_run_name or generate_run_name(),
            parameters=terms.parameters,
            context=encode(request.context) if request.context else "{}",
            labels=terms.labels,
            run_config=terms.run_config,
            start=start if start is None or start.tzinfo else start.replace(tzinfo=UTC),
            idempotency_key=request.idempotency_key,
            label_set_id=terms.label_set_id,
            parent_flow_run_id=request.parent_flow_run_id,
            schedule_lease=request.schedule_lease,
            priority=terms.priority,
        )

    async def _terms(self, item: _Wanted, flow: store.FlowFacts) -> _Terms:
        request = item.request
        labels = resolve_labels(
            given=request.labels,
            given_run_config=request.run_config,
            group_labels=flow.group_labels,
            group_run_config=flow.group_run_config,
            flow_run_config=flow.run_config,
            flow_environment=flow.environment,
        )
        run_config = next(
            (config for config in (request.run_config, flow.group_run_config, flow.run_config) if config is not None),
            None,
        )
        parameters = resolve_parameters(flow.parameters, flow.group_parameters, request.parameters)
        priority = checked_priority(request.priority)
        return _Terms(
            labels=labels,
            label_set_id=await self._database.part(LabelSets).id_of(
                item.key.tenant_id, labels, flow.limited_group, priority
            ),
            priority=priority,
            run_config=None if run_config is None else encode(run_config),
            parameters=encode(parameters),
        )


def _wanted(caller: Caller, request: CreateFlowRun) -> _Wanted:
    members = (request.parameters, request.context, request.run_config)
    return _Wanted(_flow_key(caller, request), request, sum(len(encode(member)) for member in members if member))


def _flow_key(caller: Caller, request: CreateFlowRun) -> store.FlowKey:
    for member in ("parameters", "context", "run_config"):
        value = getattr(request, member)
        if value is not None and not isinstance(value, dict):
            raise BadInputError(f"The {member} of a flow run must be a JSON object, but it is {str(value)[:80]!r}.")
    checked_priority(request.priority)
    _check_length(request.flow_run_name, "name of a flow run", _MAX_NAME_BYTES)
    _check_length(request.idempotency_key, "idempotency key", _MAX_KEY_BYTES)
    if request.flow_id is not None:
        return store.FlowKey(caller.tenant_id, flow_id=request.flow_id)
    if request.flow_group_id is not None:
        return store.FlowKey(caller.tenant_id, flow_group_id=request.flow_group_id)
    if request.version_group_id is not None:
        return store.FlowKey(caller.tenant_id, version_group_id=request.version_group_id)
    raise BadInputError("A flow id or version group ID must be provided.")


def _unknown_flow(key: store.FlowKey) -> NotFoundError:
    if key.flow_id is not None:
        return NotFoundError(f"Flow {key.flow_id} not found")
    if key.flow_group_id is not None:
        return NotFoundError(f"Flow group {key.flow_group_id} has no unarchived flows.")
    return NotFoundError(f"Version group {key.version_group_id} has no unarchived flows.")


def _check_length(text: str | None, what: str, limit: int) -> None:
    if text is None:
        return
    if "\0" in text:
        raise BadInputError(f"The {what} may not contain the NUL character.")
    if len(text.encode()) > limit:
        raise BadInputError(f"The {what} may have {limit} bytes at most, but this one has {len(text.encode())}.")


async def set_flow_run_name(database: Database, caller: Caller, flow_run_id: UUID, name: str) -> bool:
    """Rename a run; false if there is none. Raises BadInputError (no usable name), StaleWriteError (ended claim)."""
    _check_name(name)
    if await store.set_name(database, caller.tenant_id, flow_run_id, name, caller.claim_token):
        database.hints.runs_changed([flow_run_id])
        return True
    await check_claim(database, caller, flow_run_id)
    return False


async def set_task_run_name(database: Database, caller: Caller, task_run_id: UUID, name: str) -> bool:
    """Rename a task run; false if there is none. Raises as set_flow_run_name."""
    _check_name(name)
    if await task_run_store.set_name(database, caller.tenant_id, task_run_id, name, caller.claim_token):
        return True
    await check_claim(database, caller, await task_run_store.flow_run_of(database, caller.tenant_id, task_run_id))
    return False


def _check_name(name: str) -> None:
    if not name:
        raise BadInputError("Invalid name")
    _check_length(name, "name", _MAX_NAME_BYTES)


async def update_flow_run_heartbeat(database: Database, caller: Caller, flow_run_id: UUID) -> None:
    """Note that a run's process lives. An unknown run is no error. Raises StaleWriteError if the claim has ended."""
    if not await store.heartbeat(database, caller.tenant_id, flow_run_id, caller.claim_token):
        await check_claim(database, caller, flow_run_id)


async def update_task_run_heartbeat(database: Database, caller: Caller, task_run_id: UUID) -> bool:
    """Note that a task run's process lives; false if there is none. Raises StaleWriteError if the claim has ended."""
    if await task_run_store.heartbeat(database, caller.tenant_id, task_run_id, caller.claim_token):
        return True
    await check_claim(database, caller, await task_run_store.flow_run_of(database, caller.tenant_id, task_run_id))
    return False


async def set_flow_run_labels(database: Database, caller: Caller, flow_run_id: UUID, labels: Sequence[str]) -> bool:
    """Replace a run's labels; false if there is none. A waiting run goes to the agents of the new labels.

    Raises BadInputError (unusable label), StaleWriteError (ended claim).
    """
    lane = await store.set_labels(database, caller.tenant_id, flow_run_id, normalized(labels), caller.claim_token)
    if lane is None:
        await check_claim(database, caller, flow_run_id)
        return False
    if lane.waits:
        database.hints.queue_changed(caller.tenant_id, {lane.label_set_id})
    # a run that is live may have left a limit
    database.hints.slots_freed(caller.tenant_id)
    return True


async def set_flow_run_priority(database: Database, caller: Caller, flow_run_id: UUID, priority: int) -> bool:
    """Replace the priority of a run; false if there is none. It counts whenever the run waits for an agent.

    Raises BadInputError (a priority that there is not, a run that has ended).
    """
    lane = await store.set_priority(database, caller.tenant_id, flow_run_id, checked_priority(priority))
    if lane is None:
        state = await store.state_of(database, caller.tenant_id, flow_run_id)
        if state is not None:
            raise BadInputError(f"The flow run {flow_run_id} is {state}; only one that has not ended has a priority.")
        return False
    if lane.waits:
        database.hints.queue_changed(caller.tenant_id, {lane.label_set_id})
    return True
