"""From live flows to serialized ones, as `register` and `build` need them: labels, storage, JSON.

Flows that share a storage are built together.  What fails is printed with the flow that it is about, and counted; the
others go on.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from flowstead_cli.collecting import Source
from flowstead_cli.errors import explained, sentence_of
from flowstead_cli.output.lines import GREEN, RED, say
from flowstead_cli.sources import user_traceback

if TYPE_CHECKING:
    from prefect import Flow

__all__ = ["Outcome", "process"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one flow: a word, its colour, and lines of detail."""

    word: str = "Done"
    colour: str = GREEN
    details: tuple[str, ...] = ()


Act = Callable[[dict[str, Any]], Outcome]


def process(sources: Sequence[Source], labels: Iterable[str], verb: str, act: Act) -> int:
    """Hand every flow, serialized, to `act`, printing what happens to each; return how many failed.

    Args:
        sources: where the flows are from.
        labels: added to the labels of every flow.
        verb: what `act` does, such as `Registering`.
        act: does it, and returns how it went.
    """
    errored = 0
    for source in sources:
        say(f"Processing '{source.location}':")
        for document in source.documents:
            errored += not _each(str(document["name"]), verb, partial(_labelled, document, labels), act)
        for flows in _by_storage(source.flows, labels).values():
            if not _build(flows, verb):
                errored += len(flows)
                continue
            for flow in flows:
                errored += not _each(flow.name, verb, flow.serialize, act)
    return errored


def _labelled(document: Mapping[str, Any], labels: Iterable[str]) -> dict[str, Any]:
    from prefect.run_configs import UniversalRun

    run_config = dict(document.get("run_config") or UniversalRun().serialize())
    run_config["labels"] = sorted({*(run_config.get("labels") or ()), *labels})
    return {**document, "run_config": run_config}


def _by_storage(flows: Iterable["Flow"], labels: Iterable[str]) -> dict[int, list["Flow"]]:
    from prefect.run_configs import UniversalRun

    groups: dict[int, list[Flow]] = {}
    for flow in flows:
        if flow.run_config is None:
            flow.run_config = UniversalRun()
        storage: Any = flow.storage
        if flow.result is None:
            flow.result = storage.result
        flow.run_config.labels = {*flow.run_config.labels, *labels, *storage.labels}
        groups.setdefault(id(storage), []).append(flow)
    return groups


def _indented(text: str, spaces: int) -> str:
    return "\n".join(f"{' ' * spaces}{line}" for line in text.splitlines())


def _build(flows: Sequence["Flow"], verb: str) -> bool:
    storage: Any = flows[0].storage
    say(f"  Building `{type(storage).__name__}` storage...")
    try:
        _refuse_namesakes(flows)
        for flow in flows:
            # A flow that was added by its own file is there already.
            if flow.name not in storage:
                storage.add_flow(flow)
        built = storage.build()
        for flow in flows:
            flow.storage = built
    except Exception as error:
        say("    Error building storage:", RED)
        say(_indented(_detail(error), 6))
        for flow in flows:
            say(f"  {verb} '{flow.name}'...", end="")
            say(" Error", RED)
        return False
    return True


def _refuse_namesakes(flows: Sequence["Flow"]) -> None:
    names = [flow.name for flow in flows]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f'Name conflict: Flow with the name "{name}" is already present in this storage.')


def _detail(error: Exception) -> str:
    return sentence_of(error) if explained(error) is not None else user_traceback(error)


def _each(name: str, verb: str, serialize: Callable[[], dict[str, Any]], act: Act) -> bool:
    say(f"  {verb} '{name}'...", end="")
    try:
        outcome = act(serialize())
    except Exception as error:
        say(" Error", RED)
        say(_indented(_detail(error), 4))
        return False
    say(f" {outcome.word}", outcome.colour)
    for detail in outcome.details:
        say(f"  └── {detail}")
    return True
