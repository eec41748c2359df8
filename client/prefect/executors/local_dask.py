"""`LocalDaskExecutor`: dask's own schedulers for threads or processes of this machine.

Submitting only notes what is to be done; `wait` runs what its futures need, once.  An interrupted wait interrupts the
tasks that run, and is raised again.
"""

import contextlib
import itertools
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.pool import ThreadPool
from typing import Any

from prefect.executors.base import Executor
from prefect.executors.deferred import Call, Raised, Unsendable, put_in, sendable, take_out
from prefect.executors.waiting import call_interruptibly
from prefect.utilities.extras import import_extra
from prefect.utilities.interruption import InterruptibleThreads

__all__ = ["LocalDaskExecutor"]

_SCHEDULERS = {
    "threads": "threads",
    "threading": "threads",
    "processes": "processes",
    "multiprocessing": "processes",
    "sync": "sync",
    "synchronous": "sync",
    "single-threaded": "sync",
}
# How long interrupted tasks have for what they do on their way out.
_GRACE_SECONDS = 5.0


class _Node:
    """A call that was submitted; it keeps what it needs alive until it has a value."""

    __slots__ = ("call", "cheap", "done", "future", "key", "needs", "value")

    def __init__(self, key: str, call: Call, needs: "list[_Node]") -> None:
        self.key = key
        self.cheap = False
        self.call: Call | None = call
        self.needs = needs
        self.done = False
        self.value: Any = None
        self.future: weakref.ref[_Future] | None = None

    def finish(self, value: Any) -> None:
        self.value, self.done, self.call, self.needs = value, True, None, []

    def is_there(self) -> bool:
        """Return whether there is a value; one that is cheap to make is made now, if all that it needs is there."""
        if not self.done and self.cheap and all(need.is_there() for need in self.needs):
            assert self.call is not None
            self.finish(_Step(self.call, {}, None)([need.value for need in self.needs]))
        return self.done


class _Future:
    """What `submit` returns; a value that nobody holds a future of is not kept."""

    __slots__ = ("__weakref__", "node")

    def __init__(self, node: _Node) -> None:
        self.node = node
        node.future = weakref.ref(self)


class LocalDaskExecutor(Executor):
    """Runs tasks by a scheduler of dask: `threads`, `processes` or `sync`, in any case.

    Keyword arguments go to dask's configuration; `num_workers` is the number of threads or processes (default: one per
    CPU).  Raises `ValueError` for an unknown scheduler, and `ImportError` on starting without the extra `dask`.
    """

    def __init__(self, scheduler: str = "threads", **kwargs: Any) -> None:
        if not isinstance(scheduler, str) or scheduler.lower() not in _SCHEDULERS:
            raise ValueError(f"Unknown scheduler {scheduler!r}")
        self.scheduler = _SCHEDULERS[scheduler.lower()]
        self.dask_config = kwargs
        self._pool: Any = None
        self._threads: InterruptibleThreads | None = None
        self._numbers = itertools.count()

    def __getstate__(self) -> dict[str, Any]:
        return {"scheduler": self.scheduler, "dask_config": self.dask_config}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["scheduler"], **state["dask_config"])  # type: ignore[misc]  # what is running is not pickled

    @contextlib.contextmanager
    def start(self) -> Iterator[Any]:
        """Hold a pool of threads or processes while the block runs."""
        dask = import_extra("dask", "dask", type(self).__name__)
        system = import_extra("dask.system", "dask", type(self).__name__)
        with dask.config.set(self.dask_config):
            workers = dask.config.get("num_workers", None) or system.CPU_COUNT
            self._pool = self._make_pool(workers)
            interrupted = False
            try:
                yield self
            except (KeyboardInterrupt, SystemExit):
                interrupted = True
                self._interrupt()
                raise
            finally:
                self._close(wait=not interrupted)

    def _make_pool(self, workers: int) -> Any:
        if self.scheduler == "threads":
            self._threads = InterruptibleThreads()
            # Its threads are daemons: a task that cannot be interrupted does not keep the process from ending.
            return ThreadPool(workers)
        if self.scheduler == "processes":
            multiprocessing = import_extra("dask.multiprocessing", "dask", type(self).__name__)
            return ProcessPoolExecutor(
                workers,
                mp_context=multiprocessing.get_context(),
                initializer=multiprocessing.initialize_worker_process,
            )
        return None

    def _close(self, wait: bool) -> None:
        pool, self._pool = self._pool, None
        self._threads = None
        if isinstance(pool, ThreadPool):
            pool.terminate()
        elif pool is not None:
            pool.shutdown(wait=wait, cancel_futures=True)

    def _interrupt(self) -> None:
        self.logger.info("Attempting to interrupt and cancel all running tasks...")
        if self._threads is not None:
            self._threads.interrupt(_GRACE_SECONDS)
        elif self._pool is not None:
            # Python 3.14 has a method for this; until then the processes are found in an attribute.
            for process in list((getattr(self._pool, "_processes", None) or {}).values()):
                process.terminate()

    def submit(
        self, fn: Callable[..., Any], *args: Any, extra_context: dict[str, Any] | None = None, **kwargs: Any
    ) -> Any:
        """Return a future of `fn(*args, **kwargs)`, which runs when it is waited for."""
        name = str((extra_context or {}).get("task_name") or getattr(fn, "__name__", type(fn).__name__))
        arguments, futures = take_out((args, kwargs), _is_future)
        call = Call(name, fn, arguments)
        return _Future(_Node(f"{next(self._numbers):09d}-{name}", call, [future.node for future in futures]))

    def share(self, make: Callable[..., Any], **kwargs: Any) -> Any:
        """Return a future of `make(**kwargs)`, which the waiting thread calls as soon as it can.

        What takes it never waits behind other calls, so that the second task of a mapped pipeline follows the first
        one at every index.
        """
        future = self.submit(make, **kwargs)
        future.node.cheap = True
        return future

    def wait(self, futures: Any) -> Any:
        """Run what the futures need; returns the same structure with their values, raises what a call raised."""
        structure, found = take_out(futures, _is_future)
        waiting = {future.node.key: future.node for future in found if not future.node.is_there()}
        if waiting:
            self._run(list(waiting.values()))
        values = [future.node.value for future in found]
        for value in values:
            if isinstance(value, Raised):
                raise value.error
        return put_in(structure, values) if found else structure

    def _run(self, nodes: list[_Node]) -> None:
        """Give the nodes, and whatever else is held and needed by them, a value; an error is one."""
        graph: dict[str, Any] = {}
        running: dict[str, _Node] = {}
        pending = list(nodes)
        while pending:
            node = pending.pop()
            if node.key in graph:
                continue
            needed = [need for need in node.needs if not need.is_there()]
            known = {number: need.value for number, need in enumerate(node.needs) if need.done}
            assert node.call is not None
            graph[node.key] = (_Step(node.call, known, self._threads), [need.key for need in needed])
            if node.future is not None and node.future() is not None:
                running[node.key] = node
            pending.extend(needed)

        def keep(key: str, value: Any, *_: Any) -> None:
            if key in running:
                running.pop(key).finish(value)

        try:
            self._get(graph, list(running), keep)
        except Exception as error:
            # The pool is broken. Whatever was on its way may have run: it does not run again.
            for node in running.values():
                node.finish(Raised(error))

    def _get(self, graph: dict[str, Any], keys: list[str], keep: Callable[..., None]) -> None:
        name = type(self).__name__
        options: dict[str, Any] = {"callbacks": [(None, _as_submitted, None, keep, None)]}
        if self.scheduler == "sync":
            import_extra("dask.local", "dask", name).get_sync(graph, keys, **options)
            return
        if self.scheduler == "threads":
            get = import_extra("dask.threaded", "dask", name).get
        else:
            get = import_extra("dask.multiprocessing", "dask", name).get
            # Tasks are long: none shall wait in a batch while another process has nothing to do.
            options.update(optimize_graph=False, chunksize=self.dask_config.get("chunksize", 1))
        call_interruptibly(get, graph, keys, pool=self._pool, **options)


def _as_submitted(_graph: Any, state: dict[str, Any]) -> None:
    """Let dask begin with what was submitted first; it takes from the end of this list, and adds what follows there."""
    state["ready"].sort(reverse=True)


def _is_future(value: Any) -> bool:
    return type(value) is _Future


class _Step:
    """One task of a dask graph: a call that knows some of its values already."""

    __slots__ = ("call", "known", "threads")

    def __init__(self, call: Call | Unsendable, known: dict[int, Any], threads: "InterruptibleThreads | None") -> None:
        self.call = call
        self.known = known
        self.threads = threads

    def __reduce__(self) -> tuple[Any, ...]:
        return (_Step, (sendable(self.call), self.known, None))

    def __call__(self, values: list[Any]) -> Any:
        if self.known:
            rest = iter(values)
            total = len(values) + len(self.known)
            values = [self.known[number] if number in self.known else next(rest) for number in range(total)]
        for value in values:
            if isinstance(value, Raised):
                return value
        try:
            with self.threads.of_this_pool() if self.threads is not None else contextlib.nullcontext():
                return self.call(values)
        except BaseException as error:
            # As a value, so that dask does not drop what others are in the middle of.
            return Raised(error)
