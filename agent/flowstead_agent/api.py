"""What an agent asks of the API, in the agent's own terms: the only module that knows the library's sessions.

Errors: `ApiError` (try again later), its child `ApiRejectedError` (do not), `AgentUnknownError` (register again),
`ClaimLostError` (the run is somebody else's) and `AgentRefusedError` (the key is no good).  Nothing is retried here:
who asks knows how long the answer is worth waiting for.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from flowstead_agent.errors import (
    AgentRefusedError,
    AgentUnknownError,
    ApiError,
    ApiRejectedError,
    ClaimLostError,
    NoSubscriptionsError,
)
from flowstead_agent.launchers.protocol import ClaimedRun
from prefect._generated import inputs
from prefect._generated import operations as ops
from prefect.client.errors import ApiError as AnsweredWithErrors
from prefect.client.errors import SubscriptionsUnavailable
from prefect.client.live import FINISHED_STATES
from prefect.client.request import Request
from prefect.client.session import AsyncSession
from prefect.exceptions import AuthorizationError, ClientError, ObjectNotFoundError, VersionLockMismatchSignal

__all__ = ["FINISHED_STATES", "AgentApi", "Claims", "Extended", "Hint", "LogLine"]

R = TypeVar("R")

_AGENT_HEADER = "X-PREFECT-AGENT-ID"
_CLAIM_HEADER = "X-PREFECT-CLAIM-TOKEN"
_RETRYABLE_CODES = frozenset({"API_ERROR", "RATE_LIMITED", None})


@dataclass(frozen=True, slots=True)
class Claims:
    """The answer to a claim."""

    runs: Sequence[ClaimedRun]
    next_start_time: datetime | None
    """earliest start of a run that would match but starts too late to be claimed now"""
    now: datetime
    """the time of the database when it answered, aware"""


@dataclass(frozen=True, slots=True)
class Hint:
    """What the subscription says about the queue."""

    waiting: int
    next_start_time: datetime | None
    cancelling: Sequence[str]
    """ids of runs that this agent has started and that are to be stopped"""


@dataclass(frozen=True, slots=True)
class Extended:
    """What the API says about claims, as ids of runs."""

    lost: set[str]
    """not this agent's any more"""
    cancelling: set[str]
    """still this agent's, and to be stopped"""


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line for the log of a run."""

    timestamp: datetime
    logger: str
    level: str
    message: str


class AgentApi:
    """The API for one agent, known by its id after `register`."""

    def __init__(self, session: AsyncSession, labels: Sequence[str], tenant_id: str | None = None) -> None:
        self._session = session
        self._labels = list(labels)
        self._tenant_id = tenant_id
        self._agent_id: str | None = None

    @property
    def agent_id(self) -> str | None:
        """The id that the API gave to this agent, None before `register`."""
        return self._agent_id

    async def register(self, kind: str, name: str, agent_config_id: str | None) -> str:
        """Make the agent known and return its id, which goes with every later request."""
        request = ops.register_agent(
            type=kind,
            name=name,
            labels=self._labels,
            tenant_id=self._tenant_id,
            agent_config_id=agent_config_id,
        )
        self._agent_id = (await self._send(request)).id
        self._session.attach_headers({_AGENT_HEADER: self._agent_id})
        return self._agent_id

    async def claim(self, *, limit: int, before: datetime, lease_seconds: int) -> Claims:
        """Claim up to `limit` runs that start until `before` (aware)."""
        request = ops.claim_flow_runs(
            agent_id=self._known_id(),
            labels=self._labels,
            limit=limit,
            before=before,
            lease_seconds=lease_seconds,
        )
        try:
            answer = await self._send(request)
        except _NotFoundError as error:
            raise AgentUnknownError(str(error)) from error
        return Claims(
            runs=[
                ClaimedRun(
                    flow_run_id=run.id,
                    name=run.name,
                    version=run.version,
                    claim_token=run.claim_token,
                    start_time=run.start_time,
                    restart=run.restart,
                    flow_id=run.flow_id or "",
                    run_config=run.run_config,
                    storage=run.storage,
                    flow_name=run.flow_name or "",
                    core_version=run.core_version,
                )
                for run in answer.flow_runs
            ],
            next_start_time=answer.next_start_time,
            now=answer.now,
        )

    async def extend(self, runs: Sequence[ClaimedRun], lease_seconds: int) -> Extended:
        """Keep claims for `lease_seconds` from now."""
        request = ops.extend_flow_run_claims(
            agent_id=self._known_id(),
            claims=[inputs.FlowRunClaimInput(flow_run_id=run.flow_run_id, claim_token=run.claim_token) for run in runs],
            lease_seconds=lease_seconds,
        )
        answer = await self._send(request)
        return Extended(set(answer.lost), set(answer.cancelling))

    async def set_state(self, run: ClaimedRun, state: str, message: str, **members: Any) -> None:
        """Set a claimed run's state by its type name; `members` are further members of its JSON."""
        body = {"type": state, "message": message, **members}
        request = ops.set_flow_run_states(states=[inputs.SetFlowRunStateInput(flow_run_id=run.flow_run_id, state=body)])
        await self._send(request, run)

    async def run_state(self, run: ClaimedRun) -> str | None:
        """Return the name of a run's state, None if the run does not exist any more."""
        found = await self._send(ops.flow_run_state(id=run.flow_run_id))
        return found.state if found is not None else None

    async def write_logs(self, run: ClaimedRun, lines: Sequence[LogLine], batch_id: str) -> None:
        """Append lines to a run's log, once for each `batch_id`, a UUID."""
        logs = [
            inputs.WriteRunLogInput(
                flow_run_id=run.flow_run_id,
                timestamp=line.timestamp,
                name=line.logger,
                level=line.level,
                message=line.message,
            )
            for line in lines
        ]
        await self._send(ops.write_run_logs(logs=logs, batch_id=batch_id), run)

    async def hints(self) -> AsyncIterator[Hint]:
        """Yield what the API says about the queue, the first time at once; raises `ApiError` when the stream breaks."""
        with _translated():
            async for hint in self._session.subscribe(ops.runs_ready(labels=self._labels, tenant_id=self._tenant_id)):
                yield Hint(hint.waiting, hint.next_start_time, hint.cancelling)

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def _send(self, request: Request[R], run: ClaimedRun | None = None) -> R:
        headers = {_CLAIM_HEADER: run.claim_token} if run is not None else None
        with _translated():
            return await self._session.execute(request, headers=headers, retry=False, retry_for=0)

    def _known_id(self) -> str:
        assert self._agent_id is not None, "an agent asks for work after it has registered"
        return self._agent_id


class _NotFoundError(ApiRejectedError):
    """The API does not know an object that the request names."""


@contextmanager
def _translated() -> Iterator[None]:
    """Raise the agent's errors for the library's."""
    try:
        yield
    except VersionLockMismatchSignal as signal:
        raise ClaimLostError(str(signal)) from signal
    except AuthorizationError as error:
        raise AgentRefusedError(str(error)) from error
    except ObjectNotFoundError as error:
        raise _NotFoundError(str(error)) from error
    except SubscriptionsUnavailable as error:
        raise NoSubscriptionsError(str(error)) from error
    except AnsweredWithErrors as error:
        kind = ApiError if error.code in _RETRYABLE_CODES else ApiRejectedError
        raise kind(str(error)) from error
    except ClientError as error:
        raise ApiError(str(error)) from error
    except Exception as error:
        # Whatever it is, an agent that goes on serves its runs better than one that does not.
        raise ApiError(f"A request to the API failed in an unexpected way: {error!r}.") from error
