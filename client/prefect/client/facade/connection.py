"""What a client is: an API, credentials, and ways to send something; nothing about what is sent.

Clients of one API share their connections.  What a claimed run's process says about its own run carries the run's claim
token, so that the API can refuse a process that is no longer the run's; what it says about other runs does not.
Everything that sends raises what sessions raise (`prefect.client.session`).
"""

import logging
import re
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import prefect
from prefect.client.auth import load_auth
from prefect.client.encoding import dumps
from prefect.client.endpoint import CLAIM_TOKEN_HEADER, resolve
from prefect.client.errors import ApiError, error_from_answer
from prefect.client.request import Request
from prefect.client.session import Session
from prefect.exceptions import ClientError
from prefect.utilities.graphql import GraphQLResult, parse_graphql

if TYPE_CHECKING:
    from prefect.client.retries import Patience

__all__ = ["Connection"]

R = TypeVar("R")
_BAD_REQUEST = 400
_MUTATION = re.compile(r"^\s*mutation\b", re.MULTILINE)
_sessions: dict[tuple[Any, ...], Session] = {}


def _session(url: str, api_key: str | None, tenant_id: str | None, timeout: float) -> Session:
    key = (url, api_key, tenant_id, timeout)
    session = _sessions.get(key)
    if session is None:
        session = _sessions.setdefault(key, Session(url, api_key=api_key, tenant_id=tenant_id, timeout=timeout))
    return session


def _flow_runs_of(variables: Mapping[str, Any]) -> set[str]:
    """Return the ids of the flow runs that an operation changes."""
    given = variables.get("input")
    if not isinstance(given, Mapping):
        return set()
    members = [given, *(given.get("states") or ()), *(given.get("logs") or ())]
    return {str(member["flow_run_id"]) for member in members if member.get("flow_run_id")}


class Connection:
    """A connection to an API.

    Missing arguments come from `prefect.context.config.cloud` (`api`, `api_key`, `tenant_id`), then from `auth.toml` in
    the home directory.  Raises `ValueError` if `tenant_id` is no UUID, `ClientError` if the URL cannot be one.
    """

    def __init__(self, api_server: str | None = None, api_key: str | None = None, tenant_id: str | None = None) -> None:
        settings = prefect.context.get("config") or prefect.config
        endpoint = resolve(api_server, api_key=api_key, tenant_id=tenant_id, settings=settings)
        remembered = {} if endpoint.api_key and endpoint.tenant_id else load_auth(endpoint.url)
        self.api_server = endpoint.url
        self.api_key: str | None = endpoint.api_key or remembered.get("api_key")
        self._tenant_id = self._checked_tenant(endpoint.tenant_id or remembered.get("tenant_id"))
        self._timeout = endpoint.timeout
        self._setting = endpoint.setting
        self._attached_headers: dict[str, str] = {}
        self.patience: Patience | None = None
        self.logger = logging.getLogger("prefect.client.diagnostics")

    @staticmethod
    def _checked_tenant(tenant_id: str | None) -> str | None:
        if not tenant_id:
            return None
        try:
            return str(uuid.UUID(str(tenant_id)))
        except ValueError:
            raise ValueError(f"The `tenant_id` must be a valid UUID. Got {tenant_id!r}.") from None

    def attach_headers(self, headers: Mapping[str, str]) -> None:
        """Send these headers with every later request of this client."""
        self._attached_headers.update(headers)

    def _headers(self, extra: Mapping[str, str] | None = None, *, is_claimed: bool = False) -> dict[str, str]:
        headers = {**self._attached_headers, **(extra or {})}
        token = prefect.context.get("claim_token") if is_claimed else None
        if token:
            headers.setdefault(CLAIM_TOKEN_HEADER, str(token))
        return headers

    @property
    def session(self) -> Session:
        """The session that this client sends with; other clients of the same API use it too."""
        return _session(self.api_server, self.api_key, self._tenant_id, self._timeout)

    def execute(self, request: Request[R], *, headers: Mapping[str, str] | None = None, retry: bool = True) -> R:
        """Send a generated request (`prefect._generated.operations`) and return its typed answer."""
        runs = _flow_runs_of(request.variables)
        # Without the id of a flow run it is about a task run, and those are the engine's own.
        is_claimed = not runs or runs == {str(prefect.context.get("flow_run_id"))}
        return self.session.execute(
            request, headers=self._headers(headers, is_claimed=is_claimed), retry=retry, patience=self.patience
        )

    def as_sent(self, request: Request[Any], *, headers: Mapping[str, str]) -> tuple[str, dict[str, str], bytes]:
        """Return URL, headers and body of what `execute` sends, for a program that has no client."""
        endpoint = self.session.endpoint
        everything = endpoint.headers(self._headers(headers, is_claimed=True))
        body = {"query": request.document, "variables": request.variables, "operationName": request.name}
        return endpoint.url, {**everything, "Content-Type": "application/json"}, dumps(body)

    def graphql(
        self,
        query: Any,
        raise_on_error: bool = True,
        headers: Mapping[str, str] | None = None,
        variables: Mapping[str, Any] | None = None,
        api_key: str | None = None,
        retry_on_api_error: bool = True,
    ) -> GraphQLResult:
        """Send a query or mutation, as text or as nested Python structure, and return the whole answer.

        Raises `ClientError` if the answer has errors, unless `raise_on_error` is false.  A mutation is sent again only
        if the API cannot have seen it: nobody but its author knows whether doing it twice does harm.
        """
        document = parse_graphql(query)
        retry = retry_on_api_error and _MUTATION.search(document) is None
        session = _session(self.api_server, api_key, self._tenant_id, self._timeout) if api_key else self.session
        try:
            answer = session.send(
                document, variables or {}, headers=self._headers(headers), retry=retry, raise_errors=False
            )
        except ApiError as error:
            if error.status == _BAD_REQUEST:
                raise _refused(error, document, variables) from error
            raise
        if raise_on_error and "errors" in answer:
            raise error_from_answer(answer["errors"])
        return GraphQLResult(answer)

    def get(
        self,
        path: str,
        server: str | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        api_key: str | None = None,
        retry_on_api_error: bool = True,
    ) -> dict[str, Any]:
        """Ask an address below the API's (or `server`'s) URL, and return the JSON object that it answers.

        `params` go into the query string.  Raises `ClientError`.
        """
        return self._fetch("GET", path, server, headers, params, api_key, retry=retry_on_api_error)

    def post(
        self,
        path: str,
        server: str | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        api_key: str | None = None,
        retry_on_api_error: bool = True,
    ) -> dict[str, Any]:
        """Post `params` as JSON to an address below the API's (or `server`'s) URL; otherwise as `get`."""
        return self._fetch("POST", path, server, headers, params, api_key, retry=retry_on_api_error)

    def _fetch(
        self,
        method: str,
        path: str,
        server: str | None,
        headers: Mapping[str, str] | None,
        params: Mapping[str, Any] | None,
        api_key: str | None,
        *,
        retry: bool,
    ) -> dict[str, Any]:
        url = f"{(server or self.api_server).rstrip('/')}/{path.lstrip('/')}"
        session = _session(self.api_server, api_key, self._tenant_id, self._timeout) if api_key else self.session
        return session.fetch(method, url, params, headers=self._headers(headers), retry=retry)


def _refused(error: ApiError, document: str, variables: Mapping[str, Any] | None) -> ClientError:
    lines = []
    for item in error.errors:
        extensions = item.get("extensions") or {}
        lines.append(f"{extensions.get('code') or 'UNKNOWN_ERROR'}: {item.get('message')}")
    listed = "\n".join(lines)
    return ApiError(
        error.errors,
        f"The API refused the request (HTTP 400).\n{listed}\n\nquery:\n{document}\n\nvariables: {variables}",
        status=error.status,
    )
