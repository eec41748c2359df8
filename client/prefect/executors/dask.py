"""`DaskExecutor`: tasks on the workers of a Dask cluster, one made for the run or one that is there already.

Nothing of dask is imported, and no cluster made, before the executor starts.  What a cluster raises (it cannot be
reached, a worker was killed again and again) is raised by `start` and `wait` as it is.
"""

import contextlib
import itertools
import logging
import uuid
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from prefect.configuration import config
from prefect.executors.base import Executor
from prefect.executors.dask_worker import run_on_worker
from prefect.executors.deferred import Call, Raised, Unsendable, put_in, sendable, take_out
from prefect.executors.waiting import call_interruptibly
from prefect.utilities.extras import import_extra
from prefect.utilities.importtools import import_object

__all__ = ["DaskExecutor"]

_RESOURCE_TAG = "dask-resource:"
_URGENT = 1_000_000
_BATCH = 100


class _Prepared(NamedTuple):
    key: str
    call: Call | Unsendable
    futures: list[Any]


class DaskExecutor(Executor):
    """Runs tasks on a Dask cluster.

    `address` (default: `engine.executor.dask.address`) names a running scheduler.  Without one, each start makes a
    cluster of `cluster_class` (a class, a function that returns a cluster, or its dotted name; default:
    `engine.executor.dask.cluster_class`) with `cluster_kwargs`, scaled by `cluster.adapt(**adapt_kwargs)` if given,
    and closes it in the end.  `client_kwargs` go to `distributed.Client`.  `debug` (default: `debug`) lets a local
    cluster log warnings.  `performance_report_path` is where dask writes its report of a run, as HTML.

    A run that is interrupted lets active tasks end and drops pending ones on clusters that go on without it, unless
    `disable_cancellation_event`.  `watch_worker_status` logs, at level DEBUG, the workers that come and go (default:
    unless the cluster is adaptive).

    A task tag `dask-resource:KEY=NUM` makes the task need that much of a worker's resource.  Raises `ValueError` for
    an address together with arguments for a cluster, and `ImportError` on starting without the extra `dask`.
    """

    def __init__(
        self,
        address: str | None = None,
        cluster_class: str | Callable[..., Any] | None = None,
        cluster_kwargs: dict[str, Any] | None = None,
        adapt_kwargs: dict[str, Any] | None = None,
        client_kwargs: dict[str, Any] | None = None,
        debug: bool | None = None,
        performance_report_path: str | None = None,
        disable_cancellation_event: bool = False,
        watch_worker_status: bool | None = None,
    ) -> None:
        if address and (cluster_class is not None or cluster_kwargs is not None):
            raise ValueError("Cannot specify `address` and `cluster_class`/`cluster_kwargs`")
        settings = config.engine.executor.dask
        if not address and cluster_class is None and cluster_kwargs is None and adapt_kwargs is None:
            address = settings.address
        self.address: str | None = address or None
        self.cluster_class: Any = None if self.address else cluster_class or settings.cluster_class
        self.cluster_kwargs = dict(cluster_kwargs or {})
        self.adapt_kwargs = dict(adapt_kwargs or {})
        self.client_kwargs = {"set_as_default": False, **(client_kwargs or {})}
        self.debug = bool(config.debug) if debug is None else debug
        self.performance_report_path = performance_report_path
        self.disable_cancellation_event = disable_cancellation_event
        self.watch_worker_status = not self.adapt_kwargs if watch_worker_status is None else watch_worker_status
        self._forget_run()

    def _forget_run(self) -> None:
        self.client: Any = None
        self._event_name: str | None = None
        # How many calls have to come before each, counted along the longest way.
        self._depths: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()

    def __getstate__(self) -> dict[str, Any]:
        contents = self.__dict__.copy()
        for running in ("client", "_event_name", "_depths"):
            contents.pop(running)
        return contents

    def __setstate__(self, contents: dict[str, Any]) -> None:
        self.__dict__.update(contents)
        self._forget_run()

    @property
    def performance_report(self) -> str:
        """The text of the report of the last run; raises `ValueError` without a path, `OSError` if there is none."""
        if not self.performance_report_path:
            raise ValueError("`performance_report_path` was not given, so there is no performance report.")
        return Path(self.performance_report_path).read_text(encoding="utf-8")

    # -- the cluster -----------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def start(self) -> Iterator[Any]:
        """Connect to the cluster, after making it if there is no address, while the block runs."""
        distributed = import_extra("distributed", "dask", type(self).__name__)
        with contextlib.ExitStack() as stack:
            if self.address:
                self.logger.info("Connecting to an existing Dask cluster at %s", self.address)
                self.client = stack.enter_context(distributed.Client(self.address, **self.client_kwargs))
            else:
                cluster = self._make_cluster(stack, distributed)
                self.client = stack.enter_context(distributed.Client(cluster, **self.client_kwargs))
            stack.callback(self._forget_run)
            if self.watch_worker_status and self.logger.isEnabledFor(logging.DEBUG):
                self.client.subscribe_topic("all", self._log_worker_event)
                # Else the scheduler complains that it cannot tell this client that it has left.
                stack.callback(self.client.unsubscribe_topic, "all")
            stack.enter_context(self._reporting(distributed))
            stack.enter_context(self._cancelling(distributed))
            yield self.client

    def _make_cluster(self, stack: contextlib.ExitStack, distributed: Any) -> Any:
        make = self.cluster_class
        if isinstance(make, str):
            make = import_object(make)
        kwargs = dict(self.cluster_kwargs)
        if isinstance(make, type) and issubclass(make, distributed.LocalCluster):
            kwargs.setdefault("silence_logs", logging.WARNING if self.debug else logging.CRITICAL)
        module = getattr(make, "__module__", "")
        name = getattr(make, "__qualname__", type(make).__name__)
        self.logger.info("Creating a new Dask cluster with `%s.%s`...", module, name)
        cluster = stack.enter_context(make(**kwargs))
        link = getattr(cluster, "dashboard_link", None)
        if link:
            self.logger.info("The Dask dashboard is available at %s", link)
        if self.adapt_kwargs:
            cluster.adapt(**self.adapt_kwargs)
        return cluster

    def _log_worker_event(self, event: tuple[float, Any]) -> None:
        _, message = event
        if isinstance(message, dict) and message.get("action") in {"add-worker", "remove-worker"}:
            change = "added" if message["action"] == "add-worker" else "removed"
            self.logger.debug("Worker %s %s", message.get("worker"), change)

    @contextlib.contextmanager
    def _reporting(self, distributed: Any) -> Iterator[None]:
        if not self.performance_report_path:
            yield
            return
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.client.as_current())
            report = distributed.performance_report(filename=self.performance_report_path)
            report.__enter__()
            try:
                yield
            finally:
                try:
                    report.__exit__(None, None, None)
                except Exception as error:
                    # A report is about a run; the run does not fail for it.
                    warnings.warn(
                        f"Dask could not write its performance report to {self.performance_report_path!r}: {error!r}",
                        stacklevel=2,
                    )

    @contextlib.contextmanager
    def _cancelling(self, distributed: Any) -> Iterator[None]:
        # A cluster in other processes that was made for this run ends with it, and all of its tasks do.
        outlives = bool(self.address) or self.cluster_kwargs.get("processes") is False
        if not outlives or self.disable_cancellation_event:
            yield
            return
        self._event_name = f"prefect-{uuid.uuid4().hex}"
        event = distributed.Event(self._event_name, client=self.client)
        try:
            yield
        except BaseException:
            unfinished = [future for future in list(self._depths) if not future.done()]
            if unfinished:
                event.set()
                active = sum(len(keys) for keys in self.client.processing().values())
                self.logger.info("Stopping executor, waiting for %d active tasks to complete", active)
                call_interruptibly(_let_end, unfinished)
            raise

    # -- the tasks -------------------------------------------------------------------------------------------------

    def submit(
        self, fn: Callable[..., Any], *args: Any, extra_context: dict[str, Any] | None = None, **kwargs: Any
    ) -> Any:
        """Return a `distributed.Future` of `fn(*args, **kwargs)`.

        Raises `ValueError` before the start.  What cannot be sent to a worker fails there, with `UnpicklableError`.
        """
        return self._submit([self._prepare(fn, args, kwargs, extra_context or {})], extra_context or {})[0]

    def submit_each(
        self, fn: Callable[..., Any], calls: Iterable[tuple[Any, ...]], extra_context: dict[str, Any]
    ) -> list[Any]:
        """Return a future of `fn(*call)` for every call, in order; see `submit`.

        Many at once: a scheduler takes a message with a hundred calls in little more time than one with a single call.
        """
        futures: list[Any] = []
        numbered = enumerate(calls)
        while batch := [
            self._prepare(fn, call, {}, {**extra_context, "task_index": index})
            for index, call in itertools.islice(numbered, _BATCH)
        ]:
            futures += self._submit(batch, extra_context)
        return futures

    def _prepare(self, fn: Callable[..., Any], args: Any, kwargs: Any, known: dict[str, Any]) -> "_Prepared":
        name = str(known.get("task_name") or getattr(fn, "__name__", type(fn).__name__))
        index = known.get("task_index")
        arguments, futures = take_out((args, kwargs), _is_future)
        call = sendable(Call(name, fn, arguments))
        key = "-".join([name, *([] if index is None else [str(index)]), uuid.uuid4().hex])
        return _Prepared(key, call, futures)

    def _submit(self, prepared: list["_Prepared"], known: dict[str, Any]) -> list[Any]:
        self._require_client()
        urgent = bool(known.get("urgent"))
        depths = [1 + max((self._depths.get(future, 0) for future in one.futures), default=0) for one in prepared]
        submitted: list[Any] = self.client.map(
            run_on_worker,
            [one.call for one in prepared],
            [one.futures for one in prepared],
            event_name=self._event_name,
            key=[one.key for one in prepared],
            resources=_resources(known.get("task_tags") or ()) or None,
            # By itself dask prefers what was submitted first: all children of the first task of a mapped pipeline,
            # and all of their values in memory, before any child of the second.
            priority=_URGENT if urgent else max(depths),
            pure=False,
        )
        self._depths.update((future, 0 if urgent else depth) for future, depth in zip(submitted, depths, strict=True))
        return submitted

    def share(self, make: Callable[..., Any], **kwargs: Any) -> Any:
        """Return a future of `make(**kwargs)`, which goes before all tasks."""
        return self.submit(make, extra_context={"urgent": True}, **kwargs)

    def wait(self, futures: Any) -> Any:
        """Return the same structure with values for futures; raises what a call raised."""
        self._require_client()
        structure, found = take_out(futures, _is_future)
        values = call_interruptibly(self.client.gather, found) if found else []
        for value in values:
            if isinstance(value, Raised):
                raise value.error
        return put_in(structure, values) if found else structure

    def _require_client(self) -> None:
        if self.client is None:
            raise ValueError("This executor has not been started.")


def _let_end(futures: list[Any]) -> None:
    for future in futures:
        with contextlib.suppress(Exception):
            future.exception()


def _is_future(value: Any) -> bool:
    # By name, so that asking does not import distributed.
    kind = type(value)
    return kind.__name__ == "Future" and kind.__module__.partition(".")[0] == "distributed"


def _resources(tags: Any) -> dict[str, float]:
    found = {}
    for tag in tags:
        if tag.startswith(_RESOURCE_TAG):
            key, _, amount = tag[len(_RESOURCE_TAG) :].partition("=")
            try:
                found[key] = float(amount)
            except ValueError:
                raise ValueError(
                    f"The tag {tag!r} names no amount of a resource; write it like `{_RESOURCE_TAG}GPU=1`."
                ) from None
    return found
