"""A flow behind an HTTP address: one request stores it, another gives it back."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from prefect.exceptions import FlowStorageError
from prefect.storage.base import Storage
from prefect.utilities.secrets import Secret
from prefect.utilities.storage import extract_flow_from_file, flow_from_bytes_pickle, flow_to_bytes_pickle

if TYPE_CHECKING:
    from prefect.core.flow import Flow

__all__ = ["Webhook"]

_METHODS = ("GET", "PATCH", "POST", "PUT")
_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")
# Arguments of requests, in which the options are written, and those of httpx that do the same.
_OF_REQUEST = {
    "url": "url",
    "params": "params",
    "data": "data",
    "json": "json",
    "headers": "headers",
    "cookies": "cookies",
    "files": "files",
}
_OF_CLIENT = {"auth": "auth", "timeout": "timeout", "verify": "verify", "cert": "cert"}
_REDIRECTS = "allow_redirects"


class Webhook(Storage):
    """Stores a flow by one HTTP request and loads it by another.

    The options are the keyword arguments of `requests.request` (`url`, `headers`, `params`, ...), the methods GET,
    PATCH, POST or PUT; another raises `RuntimeError`.  `${NAME}` in their texts stands for the environment variable
    NAME, else for the secret NAME, and is filled in when the request is sent.  The stored bytes are sent as the body.
    With `stored_as_script` they are those of the script at `flow_script_path`; without that, nothing is sent.
    """

    fields: ClassVar[tuple[str, ...]] = (
        "build_request_kwargs",
        "build_request_http_method",
        "get_flow_request_kwargs",
        "get_flow_request_http_method",
        "stored_as_script",
    )
    flow_script_path: str | None = None

    def __init__(
        self,
        build_request_kwargs: Mapping[str, Any],
        build_request_http_method: str,
        get_flow_request_kwargs: Mapping[str, Any],
        get_flow_request_http_method: str,
        stored_as_script: bool = False,
        flow_script_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        for method in (build_request_http_method, get_flow_request_http_method):
            if method not in _METHODS:
                raise RuntimeError(f"HTTP method '{method}' not recognized")
        self.build_request_kwargs = dict(build_request_kwargs)
        self.build_request_http_method = build_request_http_method
        self.get_flow_request_kwargs = dict(get_flow_request_kwargs)
        self.get_flow_request_http_method = get_flow_request_http_method
        self.flow_script_path = flow_script_path
        self._build_responses: dict[str, Any] = {}
        super().__init__(stored_as_script=stored_as_script, **kwargs)

    @property
    def build_responses(self) -> dict[str, Any]:
        """What the address answered when flows were stored, by the flows' names."""
        return self._build_responses

    def add_flow(self, flow: "Flow") -> str:
        """Take the flow, in the place of one that was there; returns its name."""
        self.flows = {flow.name: flow.name}
        self._flows = {flow.name: flow}
        return flow.name

    def build(self) -> Storage:
        """Send the flow; raises `FlowStorageError` if it is not taken."""
        self._build_responses = {}
        for name, flow in self._flows.items():
            if not self.stored_as_script:
                data = flow_to_bytes_pickle(flow)
            elif self.flow_script_path is None:
                self.logger.info("No `flow_script_path` was given: the script of %r has to be there already.", name)
                continue
            else:
                data = Path(self.flow_script_path).expanduser().read_bytes()
            options = {**self.build_request_kwargs, "data": data}
            self._build_responses[name] = self._send(
                self.build_request_http_method, options, f"store the flow {name!r}"
            )
        return self

    def get_flow(self, flow_name: str) -> "Flow":
        """Ask for the flow and return it; raises `FlowStorageError` if it is not given."""
        self._location(flow_name)
        self.logger.info("Retrieving flow %r", flow_name)
        answer = self._send(
            self.get_flow_request_http_method, self.get_flow_request_kwargs, f"load the flow {flow_name!r}"
        )
        if self.stored_as_script:
            return extract_flow_from_file(file_contents=answer.content.decode(), flow_name=flow_name)
        return flow_from_bytes_pickle(answer.content)

    def _send(self, method: str, options: Mapping[str, Any], purpose: str) -> Any:
        from prefect.client.lean_httpx import httpx  # noqa: PLC0415 - most flows are stored elsewhere

        filled = _filled(dict(options))
        known = {*_OF_REQUEST, *_OF_CLIENT, _REDIRECTS}
        if unknown := sorted({*filled} - known):
            raise FlowStorageError(
                f"A request of `Webhook` has no option {unknown[0]!r}; it has {', '.join(sorted(known))}."
            )
        request = {_OF_REQUEST[name]: value for name, value in filled.items() if name in _OF_REQUEST}
        client = {_OF_CLIENT[name]: value for name, value in filled.items() if name in _OF_CLIENT}
        if isinstance(request.get("data"), (bytes, str)):
            request["content"] = request.pop("data")
        for name in ("auth", "timeout"):
            # JSON has no tuples.
            if isinstance(client.get(name), list):
                client[name] = tuple(client[name])
        if isinstance(client.get("timeout"), tuple):
            connect, read = client["timeout"]
            client["timeout"] = httpx.Timeout(read, connect=connect)
        try:
            with httpx.Client(follow_redirects=filled.get(_REDIRECTS, True), **client) as sender:
                answer = sender.request(method, **request)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise FlowStorageError(f"The request to {purpose} failed: {error or repr(error)}") from error
        if not answer.is_success:
            raise FlowStorageError(
                f"The request to {purpose} was answered with {answer.status_code} {answer.reason_phrase}: "
                f"{answer.text[:200]}"
            )
        return answer


def _filled(value: Any) -> Any:
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda found: _value(found[1]), value)
    if isinstance(value, Mapping):
        return {key: _filled(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_filled(item) for item in value)
    return value


def _value(name: str) -> str:
    if name in os.environ:
        return os.environ[name]
    try:
        return str(Secret(name).get())
    except (KeyError, ValueError) as error:
        raise FlowStorageError(f"`${{{name}}}` is neither an environment variable nor a secret.") from error
