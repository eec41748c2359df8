"""`prefect auth`: API keys, and who this machine is to the API.

`login` remembers a key in `auth.toml` of the home directory; a key in the settings wins over it, and is never changed
by these commands.  Every command works with any backend; 1.x knew keys with Prefect Cloud only.
"""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from flowstead_cli.errors import CliError
from flowstead_cli.output.lines import GREEN, YELLOW, say
from flowstead_cli.output.listings import Column, Format, Output, second, show
from flowstead_cli.wiring import group_app

if TYPE_CHECKING:
    from flowstead_cli.api import Access

app = group_app("Log in to an API, and manage API keys and tenants.")

_KEY_VARIABLE = "PREFECT__CLOUD__API_KEY"


def _refuse_configured_key(current: "Access", verb: str) -> None:
    if current.configured_key:
        raise CliError(
            f"Your API key is in the settings (`cloud.api_key`, or {_KEY_VARIABLE} in the environment), which win over "
            f"what `prefect auth` remembers. Remove it there to {verb}."
        )


def _tenants() -> tuple[Any, ...]:
    from flowstead_cli.api import open_session
    from prefect._generated import operations as ops

    with open_session() as session:
        return session.execute(ops.tenants())


def log_in(key: str | None) -> None:
    """Check a key and remember it for the API that is configured.

    Raises:
        CliError: no key was given, the API does not accept it, or a key is configured.
        prefect.exceptions.ClientError: the API cannot be reached.
    """
    from flowstead_cli.api import access, open_session, remember
    from prefect._generated import operations as ops
    from prefect.exceptions import AuthorizationError

    if not key:
        raise CliError("You must supply an API key!")
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise CliError("That is no API key: it has blanks, or characters that no key has.")
    current = access()
    _refuse_configured_key(current, "log in")
    with open_session(api_key=key) as session:
        try:
            tenant_id = session.execute(ops.auth_info()).tenant_id
            tenants = session.execute(ops.tenants())
        except AuthorizationError:
            raise CliError(f"Unauthorized. The API at {current.url} does not accept this API key.") from None
    remember(current.url, api_key=key, tenant_id=tenant_id)
    named = next((f"{tenant.name!r} ({tenant.slug})" for tenant in tenants if tenant.id == tenant_id), str(tenant_id))
    say(f"Logged in to tenant {named} at {current.url}", GREEN)


def log_out() -> None:
    """Forget the key that is remembered for the API, after asking.

    Raises:
        CliError: none is remembered, or a key is configured.
        typer.Abort: the answer was no.
    """
    from flowstead_cli.api import access, remember

    current = access()
    _refuse_configured_key(current, "log out")
    if current.api_key is None:
        raise CliError(f"You are not logged in to {current.url}.")
    typer.confirm(f"Are you sure you want to log out of {current.url}?", default=False, abort=True)
    remember(current.url, api_key=None, tenant_id=None)
    say(f"Logged out of {current.url}", GREEN)


def show_status() -> None:
    """Print which API is used, with which key, and whether it works."""
    from flowstead_cli.api import access, open_session
    from prefect._generated import operations as ops
    from prefect.exceptions import ClientError

    current = access()
    say(f"You are connecting to {current.url}")
    if current.api_key is None:
        say("You are not logged in. Use `prefect auth login` to log in with an API key.", YELLOW)
        return
    origin = "from the settings" if current.configured_key else "that `prefect auth login` remembered"
    say(f"You are authenticating with an API key {origin}")
    try:
        with open_session() as session:
            tenant_id = session.execute(ops.auth_info()).tenant_id
    except ClientError as error:
        say(f"Your authentication is not working: {error}", YELLOW)
        return
    say(f"You are logged in to tenant {current.tenant_id or tenant_id}", GREEN)


def list_tenants(output: Format) -> None:
    """Print the tenants that the caller may see, with a star at the one in use."""
    from flowstead_cli.api import access

    tenants = _tenants()
    active = access().tenant_id or (tenants[0].id if len(tenants) == 1 else None)
    columns = [
        Column("NAME", "name"),
        Column("SLUG", "slug"),
        Column("ID", "id"),
        Column("", "active", lambda is_active: "*" if is_active else ""),
    ]
    show(columns, [(item.name, item.slug, item.id, item.id == active) for item in tenants], output)


@dataclass(frozen=True, slots=True)
class SwitchOptions:
    """The tenant to switch to: by one of these, or back to the key's own."""

    tenant_id: str | None = None
    slug: str | None = None
    default: bool = False


def switch_tenants(options: SwitchOptions) -> None:
    """Remember another tenant for the API.

    Raises:
        CliError: the options name none or several, there is no such tenant, or the tenant is configured.
        prefect.exceptions.ClientError: the API refused or cannot be reached.
    """
    from flowstead_cli.api import access, remember

    if [options.tenant_id is not None, options.slug is not None, options.default].count(True) != 1:
        raise CliError("Give the tenant to switch to: one of --id, --slug and --default.")
    current = access()
    if current.configured_tenant_id:
        raise CliError(
            "Your tenant is in the settings (`cloud.tenant_id`, or PREFECT__CLOUD__TENANT_ID in the environment), "
            "which win over what `prefect auth` remembers. Remove it there to switch."
        )
    if options.default:
        remember(current.url, api_key=current.remembered_key, tenant_id=None)
        say("Tenant restored to the default of your API key", GREEN)
        return
    found = [item for item in _tenants() if options.slug == item.slug or (options.tenant_id or "").lower() == item.id]
    if not found:
        raise CliError(
            f"No tenant found with the {'slug' if options.slug is not None else 'id'} "
            f"{options.slug or options.tenant_id!r}; `prefect auth list-tenants` lists yours."
        )
    remember(current.url, api_key=current.remembered_key, tenant_id=found[0].id)
    say(f"Tenant switched to {found[0].id}", GREEN)


@dataclass(frozen=True, slots=True)
class KeyOptions:
    """The API key to make."""

    name: str
    expire: str | None = None
    quiet: bool = False


def _moment(text: str) -> datetime:
    import pendulum

    try:
        moment = pendulum.parse(text, strict=False, tz=pendulum.now().timezone)
    except ValueError:
        moment = None
    if not isinstance(moment, datetime):
        raise CliError(f"{text!r} is no time; give one such as 2030-12-31 or 2030-12-31T18:00:00Z.")
    if moment <= datetime.now(UTC):
        raise CliError(f"The key would expire at {moment.isoformat()}, which is in the past.")
    return moment


def create_key(options: KeyOptions) -> None:
    """Make an API key and print it, once.

    Raises:
        CliError: its end is no time, or in the past.
        prefect.exceptions.ClientError: the API refused or cannot be reached.
    """
    from flowstead_cli.api import open_session
    from prefect._generated import operations as ops
    from prefect.client.request import UNSET

    expires_at = UNSET if options.expire is None else _moment(options.expire).isoformat()
    with open_session() as session:
        user_id = session.execute(ops.auth_info()).user_id
        # Made here, so that a request that is sent again makes no second key, which nobody would have seen.
        secret = secrets.token_urlsafe(32)
        request = ops.create_api_key(name=options.name, user_id=user_id, expires_at=expires_at, secret=secret)
        key = session.execute(request).key
    if options.quiet:
        say(key)
        return
    say("This is the only time that the API key is shown; store it somewhere safe.\n")
    say(f"Successfully created key: {key}", GREEN)


def list_keys(output: Format) -> None:
    """Print the API keys of the tenant; the keys themselves cannot be read."""
    from flowstead_cli.api import open_session
    from prefect._generated import operations as ops

    with open_session() as session:
        keys = session.execute(ops.api_keys())
    if not keys and output is Format.TABLE:
        say("There are no API keys; `prefect auth create-key` makes one.", YELLOW)
        return
    columns = [
        Column("NAME", "name"),
        Column("ID", "id"),
        Column("EXPIRES AT", "expires_at", lambda moment: second(moment) or "NEVER"),
    ]
    show(columns, [(key.name, key.id, key.expires_at) for key in keys], output)


def revoke_key(key_id: str) -> None:
    """Revoke an API key.

    Raises:
        CliError: there is no key of that id.
        prefect.exceptions.ClientError: the API refused or cannot be reached.
    """
    from flowstead_cli.api import open_session
    from prefect._generated import operations as ops
    from prefect.exceptions import ObjectNotFoundError

    unable = CliError(f"Unable to revoke key {key_id!r}; `prefect auth list-keys` lists the ids of keys.")
    try:
        parsed = str(UUID(key_id))
    except ValueError:
        raise unable from None
    with open_session() as session:
        try:
            revoked = session.execute(ops.delete_api_key(key_id=parsed)).success
        except ObjectNotFoundError:
            revoked = False
    if not revoked:
        raise unable
    say("Key successfully revoked!", GREEN)


@app.command("login")
def login(key: Annotated[str | None, typer.Option("--key", "-k", help="The API key.  [required]")] = None) -> None:
    """Log in to the API with a key, which is checked and remembered for this user.

    It is kept in auth.toml of the home directory (~/.prefect), one for each API.  PREFECT__CLOUD__API_KEY wins over it.
    """
    log_in(key)


@app.command("logout")
def logout() -> None:
    """Forget the key that is remembered for the API, after asking."""
    log_out()


@app.command("status")
def status() -> None:
    """Show which API is used, with which key, and whether that works."""
    show_status()


@app.command("list-tenants")
def list_tenants_command(output: Output = Format.TABLE) -> None:
    """List the tenants that you can see; a star is at the one in use."""
    list_tenants(output)


@app.command("switch-tenants")
def switch_tenants_command(
    tenant_id: Annotated[str | None, typer.Option("--id", "-i", help="Id of the tenant.")] = None,
    slug: Annotated[str | None, typer.Option("--slug", "-s", help="Slug of the tenant.")] = None,
    default: Annotated[bool, typer.Option("--default", "-d", help="Back to the tenant of your API key.")] = False,
) -> None:
    """Switch to another tenant, for this user."""
    switch_tenants(SwitchOptions(tenant_id, slug, default))


@app.command("create-key")
def create_key_command(
    name: Annotated[str, typer.Option("--name", "-n", help="Name of the key, to know it by.")],
    expire: Annotated[
        str | None,
        typer.Option("--expire", "-e", metavar="TIME", help="When it ends, such as 2030-12-31. [default: never]"),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the key.")] = False,
) -> None:
    """Make an API key; it is shown this once and cannot be read again.

    Example:  prefect auth create-key --name "agent in Bonn" --expire 2030-12-31
    """
    create_key(KeyOptions(name, expire, quiet))


@app.command("list-keys")
def list_keys_command(output: Output = Format.TABLE) -> None:
    """List the API keys of the tenant: names and ids, not the keys themselves."""
    list_keys(output)


@app.command("revoke-key")
def revoke_key_command(key_id: Annotated[str, typer.Option("--id", "-i", help="Id of the key.")]) -> None:
    """Revoke an API key: programs that use it are refused from then on."""
    revoke_key(key_id)
