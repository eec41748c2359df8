"""Registering flows from files and modules: load all of them, build their storage, send each to the API.

Every source is loaded before the first flow is registered, so that a broken file leaves nothing half-done.  After
that a flow that cannot be registered is reported and the others go on.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowstead_cli.errors import CliError, explained, sentence_of
from flowstead_cli.output.lines import GREEN, RED, YELLOW, say
from flowstead_cli.sources import SourceError, flows_of_module, flows_of_script, user_traceback

if TYPE_CHECKING:
    from prefect import Flow
    from prefect.client.session import Session

__all__ = ["Counts", "Source", "collect", "register_sources", "select_by_name"]


@dataclass(frozen=True, slots=True)
class Source:
    """A file or module with the flows found in it."""

    location: str
    flows: tuple["Flow", ...]


@dataclass(slots=True)
class Counts:
    """How many flows were registered, were unchanged, and failed."""

    registered: int = 0
    skipped: int = 0
    errored: int = 0


@dataclass(frozen=True, slots=True)
class Target:
    """Where flows go and how."""

    project: str
    project_id: str
    labels: tuple[str, ...] = ()
    force: bool = False
    schedule: bool = True
    names: tuple[str, ...] = field(default=())


def collect(paths: Sequence[str], modules: Sequence[str]) -> list[Source]:
    """Load every file and module, and give flows without storage the one that fits.

    Raises:
        CliError: one of them cannot be loaded; its own error was printed before.
    """
    return [
        *(_load(path, flows_of_script, _script_storage) for path in paths),
        *(_load(module, flows_of_module, _module_storage) for module in modules),
    ]


def _load(location: str, load: Callable[[str], list["Flow"]], storage: Callable[[str, "Flow"], Any]) -> Source:
    try:
        flows = load(location)
    except SourceError as error:
        say(f"Error loading '{location}':", RED)
        say("\n".join(f"  {line}" for line in error.message.splitlines()))
        raise CliError(f"Nothing was registered, because '{location}' could not be loaded.") from None
    for flow in flows:
        if flow.storage is None:
            flow.storage = storage(location, flow)
    return Source(location, tuple(flows))


def _script_storage(location: str, _flow: "Flow") -> Any:
    from prefect.storage import Local

    return Local(path=str(Path(location).expanduser().absolute()), stored_as_script=True)


def _module_storage(location: str, flow: "Flow") -> Any:
    import sys

    from prefect.storage import Module

    # A full import path names the flow inside of its module.
    module = location if location in sys.modules else location.rpartition(".")[0]
    return Module(module or flow.__module__)


def select_by_name(sources: Iterable[Source], names: Sequence[str]) -> list[Source]:
    """Return the sources with only the flows of these names (all flows if there are no names).

    Raises:
        CliError: no source has a flow of one of the names.
    """
    if not names:
        return [source for source in sources if source.flows]
    known = {flow.name for source in sources for flow in source.flows}
    missing = sorted(set(names) - known)
    if missing:
        raise CliError("\n".join(["Failed to find the following flows:", *(f"- {name}" for name in missing)]))
    chosen = [Source(source.location, tuple(f for f in source.flows if f.name in names)) for source in sources]
    return [source for source in chosen if source.flows]


def register_sources(session: "Session", sources: Sequence[Source], target: Target) -> Counts:
    """Register the flows of all sources, printing what happens to each; never raises for a single flow."""
    counts = Counts()
    for source in sources:
        say(f"Processing '{source.location}':")
        for group in _by_storage(source.flows, target).values():
            if not _build(group):
                counts.errored += len(group)
                continue
            for flow in group:
                _register(session, flow, target, counts)
    return counts


def _by_storage(flows: Iterable["Flow"], target: Target) -> dict[int, list["Flow"]]:
    from prefect.run_configs import UniversalRun

    groups: dict[int, list[Flow]] = {}
    for flow in flows:
        if flow.run_config is None:
            flow.run_config = UniversalRun()
        storage: Any = flow.storage
        if flow.result is None:
            flow.result = storage.result
        flow.run_config.labels = {*flow.run_config.labels, *target.labels, *storage.labels}
        groups.setdefault(id(storage), []).append(flow)
    return groups


def _indented(text: str, spaces: int) -> str:
    return "\n".join(f"{' ' * spaces}{line}" for line in text.splitlines())


def _build(flows: Sequence["Flow"]) -> bool:
    storage: Any = flows[0].storage
    say(f"  Building `{type(storage).__name__}` storage...")
    try:
        for flow in flows:
            # A flow that was added by its own file is there already.
            if flow.name not in storage:
                storage.add_flow(flow)
        storage.build()
    except Exception as error:
        say("    Error building storage:", RED)
        say(_indented(user_traceback(error), 6))
        for flow in flows:
            say(f"  Registering '{flow.name}'...", end="")
            say(" Error", RED)
        return False
    return True


def _register(session: "Session", flow: "Flow", target: Target, counts: Counts) -> None:
    from prefect._generated import operations as ops
    from prefect.client import Client

    say(f"  Registering '{flow.name}'...", end="")
    try:
        previous = session.execute(ops.previous_flow_version(name=flow.name, project_id=target.project_id))
        flow_id = Client().register(
            flow,
            project_name=target.project,
            build=False,
            set_schedule_active=target.schedule,
            no_url=True,
            idempotency_key=None if target.force else flow.serialized_hash(),
        )
        if previous and previous[0].id == flow_id:
            say(" Skipped (metadata unchanged)", YELLOW)
            counts.skipped += 1
            return
        registered = session.execute(ops.flow_group_of_flow(id=flow_id))
    except Exception as error:
        say(" Error", RED)
        say(_indented(sentence_of(error) if explained(error) is not None else user_traceback(error), 4))
        counts.errored += 1
        return
    say(" Done", GREEN)
    say(f"  └── ID: {flow_id}")
    say(f"  └── Version: {registered.version if registered else 1}")
    counts.registered += 1
