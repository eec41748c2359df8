"""How commands hang into the command line: groups that load a command when it is called, and their help.

A group knows the names and one-line descriptions of its commands as data; a command's module is imported when the
command itself is called.  That keeps `prefect --help` independent of what the commands import.  Help and usage
errors are plain text on purpose: they read the same in a terminal, a pipe and a log.
"""

import importlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command as build_command

__all__ = [
    "CONTEXT_SETTINGS",
    "CommandApp",
    "Entry",
    "HelpGroup",
    "LazyGroup",
    "PlainCommand",
    "command_app",
    "command_below",
    "context_of",
    "group_app",
    "help_asked_for",
]

F = TypeVar("F", bound=Callable[..., Any])
_SENTENCE = 300
_TYPE = re.compile(r"<([a-z ]+)>$")
_REQUIRED = re.compile(r"\{(.+?)\}")
_VALUES = {"str": "TEXT", "int": "N", "int range": "N", "path": "PATH"}
CONTEXT_SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@dataclass(frozen=True, slots=True)
class Entry:
    """One command of a lazy group: its name, the module whose `app` is the command, its short help and help panel."""

    name: str
    module: str
    help: str
    panel: str


class PlainCommand(TyperCommand):
    """A command whose help names values as people do: `TEXT`, `N`, `PATH`, and arguments in capitals."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments; text that needs no conversion costs no converter."""
        for parameter in self.get_params(ctx):
            _take_text_as_it_is(parameter)
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words of the usage line."""
        return [_REQUIRED.sub(lambda name: name[1].upper(), piece) for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments and the options."""
        arguments, options = [], []
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None:
                continue
            name, text = record
            if parameter.param_type_name == "argument":
                arguments.append((name.partition(" <")[0].upper(), text))
            else:
                options.append((_TYPE.sub(lambda kind: _VALUES.get(kind[1], kind[0]), name), text))
        for title, rows in (("Arguments", arguments), ("Options", options)):
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def _take_text_as_it_is(parameter: Any) -> None:
    """Let values through that have their type already.

    Typer converts every value by pydantic, also those that were not given: importing that takes longer than most
    commands do.  Versions of typer that describe their parameters otherwise convert as they always do.
    """
    annotation = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
    if annotation is None or "process_value" in vars(parameter):
        return
    convert = parameter.process_value

    def process_value(ctx: Any, value: Any) -> Any:
        if parameter.callback is not None:
            return convert(ctx, False if value is None and annotation is bool else value)
        if value is None:
            absent = () if parameter.multiple or parameter.nargs == -1 else None
            return convert(ctx, value) if parameter.required else absent
        if _is_of(annotation, value) or (value is parameter.default and not isinstance(value, str)):
            return value
        if isinstance(annotation, type) and issubclass(annotation, Enum) and value in set(annotation):
            return annotation(value)
        return convert(ctx, value)

    parameter.process_value = process_value


def _is_of(annotation: Any, value: Any) -> bool:
    if annotation is str:
        return isinstance(value, str)
    return annotation == list[str] and isinstance(value, (list, tuple)) and bool(value)


class CommandApp(typer.Typer):
    """An app whose commands are plain ones."""

    def command(self, name: str | None = None, **options: Any) -> Callable[[F], F]:
        """Return the decorator that makes a function a command; as `typer.Typer.command`."""
        return super().command(name, **{"cls": PlainCommand, **options})


class HelpGroup(TyperGroup):
    """A group that prints its help, and succeeds, when it is called without a command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Print the help for an empty command line."""
        if not args and not ctx.resilient_parsing:
            typer.echo(ctx.get_help())
            ctx.exit()
        for parameter in self.get_params(ctx):
            _take_text_as_it_is(parameter)
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands with the whole first sentence of each."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, command.get_short_help_str(limit=_SENTENCE)) for name, command in self.commands.items()]
            )


class LazyGroup(HelpGroup):
    """A group whose commands are imported when they are called.

    Until then a placeholder with name and description stands for each of them, which is all that a listing needs.
    """

    def __init__(self, *, entries: Iterable[Entry], **attrs: Any) -> None:
        self.entries = {entry.name: entry for entry in entries}
        placeholders: Any = {
            entry.name: TyperCommand(entry.name, help=entry.help, callback=None) for entry in self.entries.values()
        }
        super().__init__(commands=placeholders, **attrs)
        self._loaded: set[str] = set()

    def load(self, name: str) -> Any:
        """Import a command and return it.

        Raises:
            KeyError: the group has no command of that name.
        """
        if name not in self._loaded:
            entry = self.entries[name]
            command = build_command(importlib.import_module(entry.module).app)
            command.name = entry.name
            self.commands[name] = command
            self._loaded.add(name)
        return self.commands[name]

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Load the command that the arguments call."""
        name, command, rest = super().resolve_command(ctx, args)
        if name in self.entries:
            command = self.load(name)
        return name, command, rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command; Ctrl-C that it does not handle itself aborts it."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Abort from None

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the plain list of commands, one section for each panel."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for entry in self.entries.values():
            panels.setdefault(entry.panel, []).append((entry.name, entry.help))
        for panel, rows in panels.items():
            with formatter.section(panel):
                formatter.write_dl(rows)


def context_of(command: Any, name: str, parent: typer.Context | None = None, **settings: Any) -> typer.Context:
    """Return the context in which a command's help is written, without parsing anything."""
    return typer.Context(command, info_name=name, parent=parent, **{**command.context_settings, **settings})


def command_below(command: Any, name: str) -> Any:
    """Return a command of a group, loaded; None if there is none of that name or this is no group."""
    if not isinstance(command, TyperGroup) or name not in command.commands:
        return None
    return command.load(name) if isinstance(command, LazyGroup) else command.commands[name]


def help_asked_for(root: Any, name: str, args: Sequence[str]) -> str | None:
    """Return the help of `prefect a b --help`; None if the arguments are anything but commands and a help flag.

    A shortcut: typer would load its validation library first, which takes longer than all the rest.
    """
    command, context = root, context_of(root, name)
    for word in args:
        if word in CONTEXT_SETTINGS["help_option_names"]:
            return str(command.get_help(context))
        command = command_below(command, word)
        if command is None:
            return None
        context = context_of(command, word, context)
    return None


def group_app(help: str) -> CommandApp:  # noqa: A002 - typer's own name for it
    """Return an app whose commands form a group such as `prefect get`."""
    app = CommandApp(
        cls=HelpGroup,
        help=help,
        add_completion=False,
        rich_markup_mode=None,
        context_settings=CONTEXT_SETTINGS,
        pretty_exceptions_enable=False,
    )

    # Without a callback typer turns a group of one command into that command.
    @app.callback()
    def group() -> None:
        pass

    group.__doc__ = help
    return app


def command_app() -> CommandApp:
    """Return an app that holds one command and becomes that command."""
    return CommandApp(
        add_completion=False,
        rich_markup_mode=None,
        context_settings=CONTEXT_SETTINGS,
        pretty_exceptions_enable=False,
    )
