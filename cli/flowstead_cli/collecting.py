"""Which flows `register` and `build` are about: all of what files, modules and JSON files hold, or some by name.

Every source is loaded before anything is done with the first flow, so that a broken one leaves nothing half-done.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flowstead_cli.errors import CliError
from flowstead_cli.flow_files import read_flow_file
from flowstead_cli.output.lines import RED, say
from flowstead_cli.sources import flows_of_module, flows_of_script

if TYPE_CHECKING:
    from prefect import Flow

__all__ = ["Labels", "Modules", "Names", "Paths", "Source", "collect", "select_by_name"]

Paths = Annotated[
    list[str] | None,
    typer.Option("--path", "-p", metavar="PATH", help="Python file, directory, or glob; can be repeated."),
]
Modules = Annotated[
    list[str] | None,
    typer.Option("--module", "-m", metavar="NAME", help="Module, or full import path of a flow; can be repeated."),
]
Names = Annotated[
    list[str] | None,
    typer.Option("--name", "-n", metavar="TEXT", help="Only flows of this name; can be repeated."),
]
Labels = Annotated[
    list[str] | None,
    typer.Option("--label", "-l", metavar="TEXT", help="Label to add to every flow; can be repeated."),
]


@dataclass(frozen=True, slots=True)
class Source:
    """A file, module or JSON file with the flows found in it: live ones, or serialized ones of a JSON file."""

    location: str
    flows: tuple["Flow", ...] = ()
    documents: tuple[Mapping[str, Any], ...] = field(default=())

    @property
    def names(self) -> set[str]:
        """The names of its flows."""
        return {flow.name for flow in self.flows} | {str(document["name"]) for document in self.documents}

    def only(self, names: Iterable[str]) -> "Source":
        """Return the source with only the flows of these names."""
        return replace(
            self,
            flows=tuple(flow for flow in self.flows if flow.name in names),
            documents=tuple(document for document in self.documents if document["name"] in names),
        )


def collect(
    paths: Sequence[str], modules: Sequence[str], json_files: Sequence[str] = (), *, keep_going: bool = False
) -> tuple[list[Source], int]:
    """Load every source, and give flows without storage the one that fits; return them and how many are broken.

    Raises:
        CliError: one of them cannot be loaded, unless `keep_going`; its own error was printed before.
    """
    loads: list[tuple[str, Callable[[str], Source]]] = [
        *((path, _script) for path in paths),
        *((module, _module) for module in modules),
        *((file, _document) for file in json_files),
    ]
    sources: list[Source] = []
    for location, load in loads:
        try:
            sources.append(load(location))
        except CliError as error:
            say(f"Error loading '{location}':", RED)
            say("\n".join(f"  {line}" for line in error.message.splitlines()))
            if not keep_going:
                raise CliError(f"Nothing was done, because '{location}' could not be loaded.") from None
    return sources, len(loads) - len(sources)


def _script(location: str) -> Source:
    from prefect.storage import Local

    flows = flows_of_script(location)
    for flow in flows:
        if flow.storage is None:
            flow.storage = Local(path=str(Path(location).expanduser().absolute()), stored_as_script=True)
    return Source(location, tuple(flows))


def _module(location: str) -> Source:
    import sys

    from prefect.storage import Module

    flows = flows_of_module(location)
    # A full import path names the flow inside of its module.
    module = location if location in sys.modules else location.rpartition(".")[0]
    for flow in flows:
        if flow.storage is None:
            flow.storage = Module(module or flow.__module__)
    return Source(location, tuple(flows))


def _document(location: str) -> Source:
    return Source(location, documents=tuple(read_flow_file(location)))


def select_by_name(sources: Iterable[Source], names: Sequence[str], *, keep_going: bool = False) -> list[Source]:
    """Return the sources with only the flows of these names (all flows if there are no names), without empty ones.

    Raises:
        CliError: no source has a flow of one of the names; with `keep_going` that is only printed.
    """
    if names:
        sources = list(sources)
        missing = sorted(set(names).difference(*(source.names for source in sources)))
        if missing:
            sentence = "\n".join(["Failed to find the following flows:", *(f"- {name}" for name in missing)])
            if not keep_going:
                raise CliError(sentence)
            say(sentence, RED)
        sources = [source.only(names) for source in sources]
    return [source for source in sources if source.names]
