"""The API of a Kubernetes cluster, as far as an agent needs it: its Jobs and pods in one namespace.

The library of Kubernetes says how the cluster is reached: addresses, certificates, tokens, plugins.  What is sent and
answered are plain mappings, so that fields which it does not know (yet) pass.  Blocking; called in threads.  Whatever
is refused or does not come through raises `KubernetesApiError`.
"""

import contextlib
import json
import logging
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

from flowstead_agent.errors import AgentError, KubernetesApiError

__all__ = ["Event", "KubernetesApi", "cluster_client"]

_CONFLICT = 409
_MISSING = 404
_GONE = 410
_PAGE = 500
_CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = 30.0
_WATCH_SECONDS = 240
_KEEP_ALIVE_SECONDS = 30


class Event(NamedTuple):
    """Something that has happened to a Job or pod."""

    kind: str
    """`ADDED`, `MODIFIED` or `DELETED`"""
    resource: Mapping[str, Any]


def cluster_client(logger: logging.Logger, *, keep_alive: bool = False) -> Any:
    """Return a client of the library for the cluster that this process is in, or else that of a kubeconfig file.

    Raises `AgentError` if there is neither, `ImportError` without the extra `kubernetes`.
    """
    import kubernetes.config  # noqa: PLC0415 - an extra

    config: Any = kubernetes.config  # has no types
    configuration = kubernetes.client.Configuration()
    try:
        config.load_incluster_config(client_configuration=configuration)
    except config.ConfigException as error:
        logger.warning("%s Using out of cluster configuration option.", error)
        try:
            config.load_kube_config(client_configuration=configuration)
        except (config.ConfigException, OSError) as failure:
            raise AgentError(
                f"No Kubernetes cluster is configured: this process is in none, and the kubeconfig file has none "
                f"({failure}). Set KUBECONFIG to a file that has."
            ) from failure
    if keep_alive:
        configuration.socket_options = _keep_alive_options()
    return kubernetes.client.ApiClient(configuration)


def _keep_alive_options() -> list[tuple[int, int, int]]:
    options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    # not every system has them
    for name, value in (("TCP_KEEPIDLE", _KEEP_ALIVE_SECONDS), ("TCP_KEEPINTVL", _KEEP_ALIVE_SECONDS)):
        if hasattr(socket, name):
            options.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    return options


class KubernetesApi:
    """The Jobs and pods of a namespace that carry a label.  Safe to use from several threads."""

    def __init__(self, client: Any, namespace: str, label: str) -> None:
        self.namespace = namespace
        self._label = label
        self._client = client
        self._paths = {
            "jobs": f"/apis/batch/v1/namespaces/{namespace}/jobs",
            "pods": f"/api/v1/namespaces/{namespace}/pods",
        }
        self._streams: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._closed = False

    def create_job(self, manifest: Mapping[str, Any]) -> bool:
        """Create a Job; False if there is one of its name."""
        try:
            self._request("POST", self._paths["jobs"], body=manifest)
        except KubernetesApiError as error:
            if error.status != _CONFLICT:
                raise
            return False
        return True

    def delete_job(self, name: str) -> None:
        """Delete a Job, and before it its pods; it may be gone already."""
        self._delete("jobs", name, {"propagationPolicy": "Foreground"})

    def delete_pod(self, name: str, grace_seconds: int) -> None:
        """End a pod: by SIGTERM, and by SIGKILL after `grace_seconds`; it may be gone already."""
        self._delete("pods", name, {"gracePeriodSeconds": grace_seconds})

    def list_all(self, what: str, selector: str | None = None) -> tuple[list[dict[str, Any]], str]:
        """Return all `jobs` or `pods` that carry the label, and the version that a watch may begin at."""
        items: list[dict[str, Any]] = []
        query = {"labelSelector": selector or self._label, "limit": str(_PAGE)}
        while True:
            page = json.loads(self._request("GET", self._paths[what], query))
            items += page.get("items") or []
            metadata = page.get("metadata") or {}
            if not metadata.get("continue"):
                return items, str(metadata.get("resourceVersion", ""))
            query["continue"] = metadata["continue"]

    def pod_log(self, name: str, container: str | None, lines: int) -> str:
        """Return the last lines that a container of a pod has printed; None for its only one."""
        query = {"tailLines": str(lines)} | ({"container": container} if container else {})
        return self._request("GET", f"{self._paths['pods']}/{name}/log", query).decode(errors="replace")

    def events_of(self, name: str) -> list[dict[str, Any]]:
        """Return what the cluster says has happened to the Job or pod `name`."""
        query = {"fieldSelector": f"involvedObject.name={name}", "limit": str(_PAGE)}
        page = json.loads(self._request("GET", f"/api/v1/namespaces/{self.namespace}/events", query))
        return list(page.get("items") or [])

    def watch(self, what: str, version: str) -> Iterator[Event]:
        """Yield what happens to the `jobs` or `pods` that carry the label, for some minutes, or until `close`.

        Raises `KubernetesApiError` of status 410 if `version` is too old: everything is to be listed anew.
        """
        query = {
            "watch": "true",
            "labelSelector": self._label,
            "resourceVersion": version,
            "timeoutSeconds": str(_WATCH_SECONDS),
        }
        # a connection that has died without a word is noticed too
        with (
            _translated(),
            self._answer("GET", self._paths[what], query, seconds=_WATCH_SECONDS + _ANSWER_SECONDS) as answer,
        ):
            with self._lock:
                if self._closed:
                    return
                self._streams[what] = answer
            for line in _lines(answer):
                event = json.loads(line)
                resource = event["object"]
                if event["type"] == "ERROR":
                    raise KubernetesApiError(_refusal(resource), int(resource.get("code") or _GONE))
                yield Event(event["type"], resource)

    def close(self) -> None:
        """End all watches; requests under way come to their end."""
        with self._lock:
            self._closed = True
        for stream in self._streams.values():
            # Closing alone would wait for the thread that reads.
            with contextlib.suppress(Exception):
                stream.shutdown()

    def _delete(self, what: str, name: str, options: Mapping[str, Any]) -> None:
        try:
            self._request("DELETE", f"{self._paths[what]}/{name}", body=options)
        except KubernetesApiError as error:
            if error.status != _MISSING:
                raise

    def _request(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> bytes:
        with _translated(), self._answer(method, path, query or {}, body) as answer:
            return bytes(answer.data)

    @contextlib.contextmanager
    def _answer(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None = None,
        seconds: float = _ANSWER_SECONDS,
    ) -> Iterator[Any]:
        import urllib3  # noqa: PLC0415 - comes with the library of Kubernetes

        configuration = self._client.configuration
        headers = {"Accept": "application/json", "User-Agent": "flowstead-agent"}
        # A token is asked for each time, because it may have been renewed.
        for setting in configuration.auth_settings().values():
            headers[setting["key"]] = setting["value"]
        if body is not None:
            headers["Content-Type"] = "application/json"
        answer = self._client.rest_client.pool_manager.request(
            method,
            f"{configuration.host}{path}" + (f"?{urlencode(query)}" if query else ""),
            body=None if body is None else json.dumps(body),
            headers=headers,
            preload_content=False,
            timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=seconds),
            retries=False,
        )
        try:
            if not 200 <= answer.status < 300:  # noqa: PLR2004 - HTTP's successes
                raise KubernetesApiError(_refusal(_status_of(answer)), int(answer.status))
            yield answer
        finally:
            answer.close()
            answer.release_conn()


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    import kubernetes.config  # noqa: PLC0415 - an extra
    import urllib3  # noqa: PLC0415 - as above

    try:
        yield
    except (urllib3.exceptions.HTTPError, kubernetes.config.ConfigException, OSError, ValueError) as error:
        raise KubernetesApiError(f"The Kubernetes API cannot be reached: {error}") from error


def _status_of(answer: Any) -> Mapping[str, Any]:
    """Return what an answer says about itself, which is a `Status` unless something in front of the API gave it."""
    try:
        status = json.loads(answer.data)
    except ValueError:
        status = None
    return status if isinstance(status, dict) else {"code": answer.status, "message": answer.reason}


def _refusal(status: Mapping[str, Any]) -> str:
    return f"The Kubernetes API refuses ({status.get('code')}): {status.get('message') or status.get('reason')}"


def _lines(answer: Any) -> Iterator[bytes]:
    """Yield the lines of an answer as they come."""
    rest = b""
    for chunk in answer.stream(None, decode_content=False):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line for line in lines if line.strip())
