"""`Flow`: a graph of tasks with a name, and what it takes to run, register and store it.

Building is pure.  `run` and `register` load the engine and the client when they are called; their errors are described
there.
"""

import collections.abc
import copy
import hashlib
import importlib
import json
import os
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect.configuration import config
from prefect.core.edge import Edge
from prefect.core.graph import Graph
from prefect.core.task import Task
from prefect.tasks.core.constants import Constant
from prefect.utilities.context import context
from prefect.utilities.logging import get_logger

if TYPE_CHECKING:
    import logging
    from types import TracebackType

    from prefect.engine.result import Result
    from prefect.engine.state import State
    from prefect.executors import Executor
    from prefect.run_configs import RunConfig
    from prefect.storage import Storage

__all__ = ["Flow"]

_INSIDE = (
    "Don't call `flow.{method}()` from within a `Flow` context manager. The flow is not complete before the `with` "
    "block ends; move the call below it."
)
_LOADING = "Attempting to call `flow.{method}` during execution of flow file will lead to unexpected results."


class Flow(Graph):
    """A named graph of tasks.

    In a `with Flow("name") as flow:` block, calling tasks adds them to the flow.  Raises `ValueError` without a name
    and `TypeError` if `state_handlers` is no sequence.
    """

    def __init__(
        self,
        name: str,
        schedule: Any = None,
        executor: "Executor | None" = None,
        run_config: "RunConfig | None" = None,
        storage: "Storage | None" = None,
        tasks: Iterable[Task] | None = None,
        edges: Iterable[Edge] | None = None,
        reference_tasks: Iterable[Task] | None = None,
        state_handlers: list[Callable[..., Any]] | None = None,
        on_failure: Callable[..., Any] | None = None,
        validate: bool | None = None,
        result: "Result | None" = None,
        terminal_state_handler: Callable[..., Any] | None = None,
    ) -> None:
        if not name:
            raise ValueError("A name must be provided for the flow.")
        super().__init__()
        self.name = name
        self.schedule = schedule
        self.executor = executor
        self.run_config = run_config
        self.storage = storage
        self.result = result
        for task in tasks or ():
            self.add_task(task)
        for edge in edges or ():
            self.add_edge(
                edge.upstream_task, edge.downstream_task, edge.key, edge.mapped, edge.flattened, validate=validate
            )
        self.set_reference_tasks(reference_tasks or [])
        if state_handlers is not None and not isinstance(state_handlers, collections.abc.Sequence):
            raise TypeError("state_handlers should be iterable.")
        self.state_handlers: Any = state_handlers if state_handlers is not None else []
        if on_failure is not None:
            from prefect.utilities.notifications import callback_factory  # noqa: PLC0415 - few flows have one

            handler = callback_factory(on_failure, check=lambda state: state.is_failed())
            # The caller's list is not ours to extend.
            self.state_handlers = [*self.state_handlers, handler]
        self.terminal_state_handler = terminal_state_handler
        self._open_blocks: list[Any] = []

    @property
    def logger(self) -> "logging.Logger":
        """The logger `prefect.{flow name}`."""
        return get_logger(self.name)

    # -- context manager -------------------------------------------------------------------------------------------

    def __enter__(self) -> "Flow":
        block = context(flow=self, _unused_task_tracker=set())
        self._open_blocks.append(block)
        block.__enter__()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: "TracebackType | None"
    ) -> None:
        created = context.get("_unused_task_tracker") or set()
        self._open_blocks.pop().__exit__(None, None, None)
        unused = {task for task in created if task not in self.tasks and not isinstance(task, Constant)}
        if unused and exc_type is None:
            warnings.warn(
                f"Tasks were created but not added to the flow: {unused}. This can occur when `Task` classes, "
                "including `Parameters`, are instantiated inside a `with flow:` block but not added to the flow "
                "either explicitly or as the input to another task. Call the task, or add it with "
                "`flow.add_task(...)`.",
                stacklevel=2,
            )

    def _may_act(self, method: str) -> bool:
        """Return False, with a warning, while the file of the flow is loaded; raise inside the flow's own block."""
        if context.get("loading_flow"):
            warnings.warn(_LOADING.format(method=method), stacklevel=3)
            return False
        if self._open_blocks:
            error = RuntimeError if method == "run" else ValueError
            raise error(_INSIDE.format(method=method))
        return True

    # -- running ---------------------------------------------------------------------------------------------------

    def run(
        self,
        parameters: dict[str, Any] | None = None,
        run_on_schedule: bool | None = None,
        runner_cls: Any = None,
        **kwargs: Any,
    ) -> "State":
        """Run the flow in this process until it ends, on its schedule if it has one; returns the final state.

        While the flow's file is loaded to be registered or run, it warns and returns None instead.  Keyword arguments
        named like parameters set them.  Raises `ValueError` for unknown and missing parameters and
        `RuntimeError` inside the flow's own `with` block.
        """
        if not self._may_act("run"):
            return None  # type: ignore[return-value]  # the rare case would make every caller check
        from prefect.engine.local_run import run_flow  # noqa: PLC0415 - building flows does not need the engine

        return run_flow(self, parameters, run_on_schedule, runner_cls, **kwargs)

    # -- registration and storage ------------------------------------------------------------------------------------

    def register(
        self,
        project_name: str | None = None,
        build: bool = True,
        labels: Iterable[str] | None = None,
        set_schedule_active: bool = True,
        version_group_id: str | None = None,
        no_url: bool = False,
        idempotency_key: str | None = None,
        **kwargs: Any,
    ) -> str:
        """Register the flow with the API; returns its id, or None with a warning while the flow's file is loaded.

        Storage, run config and result default to what the configuration and the storage say; `kwargs` go to the
        default storage.  Raises `ValueError` inside the flow's own `with` block, and what `Client.register` raises.
        """
        if not self._may_act("register"):
            return None  # type: ignore[return-value]  # as above
        from prefect.client import Client  # noqa: PLC0415 - building flows does not need the client
        from prefect.run_configs import UniversalRun  # noqa: PLC0415 - as above
        from prefect.storage import get_default_storage_class  # noqa: PLC0415 - as above

        if self.storage is None:
            self.storage = get_default_storage_class()(**kwargs)
        if self.run_config is None:
            self.run_config = UniversalRun()
        self.run_config.labels.update(self.storage.labels)
        self.run_config.labels.update(labels or ())
        if self.result is None:
            self.result = self.storage.result
        flow_id: str = Client().register(
            flow=self,
            build=build,
            project_name=project_name,
            set_schedule_active=set_schedule_active,
            version_group_id=version_group_id,
            no_url=no_url,
            idempotency_key=idempotency_key,
        )
        return flow_id

    def serialize(self, build: bool = False) -> dict[str, Any]:
        """Return the flow as JSON-able data, after building its storage if `build`.

        Raises `ValueError` for an invalid flow, and with `build` for one without storage.
        """
        from prefect.serialization.flow import flow_to_dict  # noqa: PLC0415 - it knows the whole graph

        self.validate()
        if build:
            if self.storage is None:
                raise ValueError("This flow has no storage to build")
            if self.name not in self.storage:
                self.storage.add_flow(self)
            else:
                warnings.warn(
                    "A flow with the same name is already contained in storage; if you changed your flow since the "
                    "last build, you might experience unexpected issues and should re-create your storage object.",
                    stacklevel=2,
                )
            self.storage = self.storage.build()
        return flow_to_dict(self)

    def serialized_hash(self, build: bool = False) -> str:
        """Return the SHA-256, in hex, of the serialized flow: equal for equal flows in any process."""
        return hashlib.sha256(json.dumps(self.serialize(build), sort_keys=True).encode()).hexdigest()

    def save(self, fpath: str | None = None) -> str:
        """Write the flow to a file (default `{home_dir}/flows/{name}.prefect`); returns the path."""
        from prefect.utilities.storage import flow_to_bytes_pickle, slugify  # noqa: PLC0415 - few flows are saved

        path = Path(fpath).expanduser() if fpath else _flows_directory() / f"{slugify(self.name)}.prefect"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(flow_to_bytes_pickle(self))
        return str(path)

    @classmethod
    def load(cls, fpath: str) -> "Flow":
        """Return the flow in a file (absolute path), or the one saved under that name; raises `FlowStorageError`."""
        from prefect.utilities.storage import flow_from_bytes_pickle, slugify  # noqa: PLC0415 - few flows are saved

        path = Path(fpath)
        if not path.is_absolute():
            directory = _flows_directory()
            path = directory / fpath
            if not path.is_file():
                path = directory / f"{slugify(fpath)}.prefect"
        return flow_from_bytes_pickle(path.read_bytes())

    # -- showing -----------------------------------------------------------------------------------------------------

    def visualize(
        self,
        flow_state: "State | None" = None,
        filename: str | None = None,
        format: str | None = None,  # noqa: A002 - the name is part of the 1.x API
        horizontal: bool = False,
    ) -> Any:
        """Draw the flow and return the `graphviz.Digraph`; needs the extra `viz` and the programs of graphviz.

        The drawing goes into the file `filename` (its name gets the `format`, "pdf" by default), else on the screen; in
        a notebook it is the value returned.  With the state of a run, tasks have the colours of their states, and
        mapped children are drawn one by one.  Raises `ImportError` without the extra.
        """
        from prefect.core.drawing import visualize  # noqa: PLC0415 - few flows are drawn

        return visualize(self, flow_state, filename, format, horizontal=horizontal)

    def diagnostics(self, include_secret_names: bool = False) -> str:
        """Return what a bug report needs to know about this flow and its surroundings, as JSON without any values."""
        from prefect.utilities.diagnostics import diagnostic_info  # noqa: PLC0415 - for bug reports only

        return diagnostic_info(self, include_secret_names)

    def run_agent(
        self,
        token: str | None = None,
        show_flow_logs: bool = False,
        log_to_cloud: bool | None = None,
        api_key: str | None = None,
    ) -> None:
        """Run a local agent in this process, for this flow's labels, until it is interrupted; `token` has no effect.

        `show_flow_logs` prints what the runs print, `log_to_cloud` decides whether their logs go to the API.
        """
        from prefect.utilities.configuration import set_temporary_config  # noqa: PLC0415 - few flows have an agent

        # By name, because the library does not know agents: only this door to them is open.
        agent = importlib.import_module("prefect.agent.local").LocalAgent
        with set_temporary_config({"cloud.api_key": api_key} if api_key else {}):
            agent(
                labels=sorted(self.run_config.labels) if self.run_config is not None else [],
                show_flow_logs=show_flow_logs,
                no_cloud_logs=None if log_to_cloud is None else not log_to_cloud,
            ).start()

    # -- object ------------------------------------------------------------------------------------------------------

    def copy(self) -> "Flow":
        """Return a copy with its own graph of the same tasks."""
        new = copy.copy(self)
        self._copy_graph_to(new)
        new.__dict__["_open_blocks"] = []
        return new

    def __getstate__(self) -> dict[str, Any]:
        contents = self.__dict__.copy()
        contents["_answers"] = {}
        contents["_open_blocks"] = []
        return contents

    def __repr__(self) -> str:
        return f'<{type(self).__name__}: name="{self.name}">'

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other) or not isinstance(other, Flow):
            return False
        return (self.name, self.tasks, self.edges, self.reference_tasks()) == (
            other.name,
            other.tasks,
            other.edges,
            other.reference_tasks(),
        )

    __hash__ = None  # type: ignore[assignment]  # equality goes by contents, which change


def _flows_directory() -> Path:
    return Path(os.path.expandvars(config.home_dir)).expanduser() / "flows"
