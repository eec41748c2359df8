"""What storages on git hosts share: a flow is a script, read through the HTTP API of the host.

No git is needed where flows run.  A host that cannot be reached, refuses, or has no such file raises
`FlowStorageError` that says so.
"""

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from prefect.client.retries import Attempts, RetryPolicy, TransientError
from prefect.exceptions import FlowStorageError
from prefect.storage.base import Storage
from prefect.utilities.context import context
from prefect.utilities.secrets import Secret
from prefect.utilities.storage import extract_flow_from_file

if TYPE_CHECKING:
    from prefect.core.flow import Flow

__all__ = ["HostApi", "HostedScript", "conventional_secret"]

_TIMEOUT_S = 30.0
_RETRY_FOR_S = 10.0
_OVERLOADED = frozenset({429, 502, 503, 504})
_REFUSED = {401: "the credentials are not accepted", 403: "the credentials do not allow it"}


def conventional_secret(name: str | None, usual: str) -> str | None:
    """Return the secret `name`; without one, the context's secret or the environment variable `usual`, or None."""
    if name is not None:
        return str(Secret(name).get())
    if usual in (context.get("secrets") or {}):
        return str(Secret(usual).get())
    return os.environ.get(usual)


class HostApi:
    """The HTTP API of a host that people call `name`; connects when it is first asked, and is closed on exit."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._client: Any = None

    def __enter__(self) -> "HostApi":
        return self

    def __exit__(self, *_error: object) -> None:
        if self._client is not None:
            self._client.close()

    def ask(
        self,
        url: str,
        what: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
    ) -> Any:
        """Return the answer of the API; `what` is what is asked for.  Raises `FlowStorageError` if it is not given.

        A host that is unreachable or overloaded is asked again for some seconds.
        """
        attempts = Attempts(RetryPolicy(retry_for=_RETRY_FOR_S, strict=True), retry=True)
        while True:
            try:
                return self._ask_once(url, what, {"params": params, "headers": headers, "auth": auth})
            except TransientError as problem:
                time.sleep(attempts.pause_after(problem))

    def _ask_once(self, url: str, what: str, options: Mapping[str, Any]) -> Any:
        from prefect.client.lean_httpx import httpx  # noqa: PLC0415 - most flows are stored elsewhere

        if self._client is None:
            self._client = httpx.Client(timeout=_TIMEOUT_S, follow_redirects=True)
        try:
            answer = self._client.get(url, **options)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            failure = FlowStorageError(f"{self._name} could not be reached at {url}: {error or repr(error)}")
            raise (TransientError(failure) if isinstance(error, httpx.TransportError) else failure) from error
        if answer.is_success:
            return answer
        if answer.status_code == httpx.codes.NOT_FOUND:
            reason = "there is no such thing, or the credentials do not allow to see it"
        else:
            reason = _REFUSED.get(answer.status_code, answer.text[:200] or answer.reason_phrase)
        failure = FlowStorageError(f"{self._name} did not give {what} ({answer.status_code} from {url}): {reason}.")
        if answer.status_code in _OVERLOADED:
            raise TransientError(failure)
        raise failure


class HostedScript(Storage):
    """The base of storages that name a script in a repository; a kind says how it is downloaded."""

    repo: str
    path: str | None
    ref: str | None = None

    def __init__(self, **kwargs: Any) -> None:
        kwargs["stored_as_script"] = True
        super().__init__(**kwargs)

    def add_flow(self, flow: "Flow") -> str:
        """Note that the script has the flow; returns the script's path.  Raises `ValueError` without a path."""
        self._refuse_second(flow)
        if not self.path:
            raise ValueError(
                f"A `path` must be provided to show where the flow's script is in the repository {self.repo!r}."
            )
        self.flows[flow.name] = self.path
        self._flows[flow.name] = flow
        return self.path

    def download(self, path: str, host: "HostApi") -> tuple[str, str | None]:
        """Return the text of a file of the repository, and the commit that it is from, if the host says it."""
        raise NotImplementedError

    def get_flow(self, flow_name: str) -> "Flow":
        """Download the script and return its flow of that name; raises `FlowStorageError` if that fails."""
        path = self._location(flow_name)
        self.logger.info(
            "Downloading flow from %s storage - repo: %r, path: %r%s",
            type(self).__name__,
            self.repo,
            path,
            f", ref: {self.ref!r}" if self.ref is not None else "",
        )
        with HostApi(type(self).__name__) as host:
            text, commit = self.download(path, host)
        self.logger.info("Flow successfully downloaded.%s", f" Using commit: {commit}" if commit else "")
        return extract_flow_from_file(file_contents=text, flow_name=flow_name)
