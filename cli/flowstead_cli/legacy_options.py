"""Options of `prefect server` of 1.x that mean nothing here, so that scripts which have them go on working.

They were about container images, published ports and volumes of six containers; here the server is one process that
keeps its data.  They are taken off the command line, and one sentence says that they have no effect.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from flowstead_cli.wiring import PlainCommand

__all__ = ["ServerCommand", "without_legacy_options"]

# Whether each takes a value.
_LEGACY: Mapping[str, bool] = {
    "--version": True,
    "-v": True,
    "--ui-version": True,
    "-uv": True,
    "--postgres-port": True,
    "--hasura-port": True,
    "--graphql-port": True,
    "--ui-port": True,
    "--no-postgres-port": False,
    "--no-hasura-port": False,
    "--no-graphql-port": False,
    "--no-ui-port": False,
    "--no-server-port": False,
    "--use-volume": False,
    "--skip-pull": False,
}


def without_legacy_options(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the other arguments, and the options that were taken away."""
    kept: list[str] = []
    taken: list[str] = []
    words = iter(arguments)
    for word in words:
        name, equals, _ = word.partition("=")
        if name not in _LEGACY:
            kept.append(word)
            continue
        taken.append(name)
        if _LEGACY[name] and not equals:
            next(words, None)
    return kept, taken


class ServerCommand(PlainCommand):
    """A command that takes the options of 1.x, says that they have no effect, and goes on without them."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse what is left of a command line without them."""
        kept, taken = without_legacy_options(args)
        if taken and not ctx.resilient_parsing:
            print(
                f"Without effect, because the server is one process here and keeps its data: {', '.join(taken)}.",
                file=sys.stderr,
            )
        return super().parse_args(ctx, kept)
