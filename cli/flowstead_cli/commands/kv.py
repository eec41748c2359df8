"""`prefect kv`: small values that flows share, by key.  Works with any backend; 1.x had it with Prefect Cloud only."""

from dataclasses import dataclass
from typing import Annotated

import typer

from flowstead_cli.errors import CliError
from flowstead_cli.output.lines import GREEN, YELLOW, say
from flowstead_cli.output.listings import Format, Output, as_json, as_yaml
from flowstead_cli.wiring import group_app

app = group_app("Keep small values by key, for flows to share.")


@dataclass(frozen=True, slots=True)
class Pair:
    """A key and the text to store under it."""

    key: str
    value: str


def set_value(pair: Pair) -> None:
    """Store a text under a key.

    Raises:
        prefect.exceptions.ClientError: the API refused (the value may be too large) or cannot be reached.
    """
    from flowstead_cli.api import open_session
    from prefect._generated import operations as ops

    with open_session() as session:
        session.execute(ops.set_key_value(key=pair.key, value=pair.value))
    say("Key value pair set successfully", GREEN)


def get_value(key: str) -> None:
    """Print the value of a key.

    Raises:
        CliError: there is no such key.
        prefect.exceptions.ClientError: the API refused or cannot be reached.
    """
    from flowstead_cli.api import open_session
    from prefect._generated import operations as ops

    with open_session() as session:
        found = session.execute(ops.key_value(key=key))
    if not found:
        raise CliError(f"Error retrieving value for key {key!r}: there is no such key.")
    say(f"Key {key!r} has value {found[0].value!r}", GREEN)


def delete_key(key: str) -> None:
    """Delete a key and its value.

    Raises:
        CliError: there is no such key.
        prefect.exceptions.ClientError: the API refused or cannot be reached.
    """
    from flowstead_cli.api import open_session
    from prefect._generated import operations as ops

    with open_session() as session:
        found = session.execute(ops.key_value(key=key))
        if not found or not session.execute(ops.delete_key_value(key_value_id=found[0].id)).success:
            raise CliError(f"An error occurred deleting the key {key!r}: there is no such key.")
    say(f"Key {key!r} has been deleted", GREEN)


def list_keys(output: Format) -> None:
    """Print all keys in order, one on each line."""
    from flowstead_cli.api import open_session
    from prefect._generated import operations as ops

    with open_session() as session:
        keys = sorted(pair.key for pair in session.execute(ops.list_keys()))
    if output is not Format.TABLE:
        say(as_json(keys) if output is Format.JSON else as_yaml(keys))
    elif keys:
        say("\n".join(keys))
    else:
        say("No keys found", YELLOW)


@app.command("set")
def set_command(
    key: Annotated[str, typer.Argument(help="The key.")],
    value: Annotated[str, typer.Argument(help="The value, stored as text: at most 10,000 characters.")],
) -> None:
    """Store a value under a key, in place of what was there.

    Example:  prefect kv set last-import 2030-12-31
    """
    set_value(Pair(key, value))


@app.command("get")
def get_command(key: Annotated[str, typer.Argument(help="The key.")]) -> None:
    """Print the value of a key."""
    get_value(key)


@app.command("delete")
def delete_command(key: Annotated[str, typer.Argument(help="The key.")]) -> None:
    """Delete a key and its value."""
    delete_key(key)


@app.command("list")
def list_command(output: Output = Format.TABLE) -> None:
    """List all keys."""
    list_keys(output)
