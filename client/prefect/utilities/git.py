"""Files of a git repository at one revision, fetched by the `git` command.

As little as possible is fetched.  Credentials reach git through its environment: they are on no command line and in no
file.  git never asks a question; what it cannot do raises `GitError` with its own words.
"""

import base64
import contextlib
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

__all__ = ["GitError", "checkout"]

_FULL_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class GitError(RuntimeError):
    """git is not installed, or could not do what it was asked; the text says what, without credentials."""


@contextlib.contextmanager
def checkout(
    url: str,
    *,
    branch: str | None = None,
    tag: str | None = None,
    commit: str | None = None,
    depth: int | None = 1,
) -> Iterator[tuple[Path, str]]:
    """Give a temporary directory with the files of a branch, a tag, a commit or else the default branch, and its id.

    `depth` is the number of commits that are fetched, None for all.  Raises `GitError`.
    """
    url, settings = _without_credentials(url)
    environment = _environment({"remote.origin.url": url, **settings})
    with tempfile.TemporaryDirectory(prefix="flow-checkout-") as directory:

        def git(*arguments: str) -> str:
            return _run(("git", *arguments), directory, environment)

        git("init", "--quiet")
        shallow = ("--depth", str(depth)) if depth is not None else ()
        if commit is not None:
            _fetch_commit(git, commit, shallow)
            revision = commit
        else:
            wanted = f"refs/heads/{branch}" if branch else f"refs/tags/{tag}" if tag else "HEAD"
            git("fetch", "--quiet", "--no-tags", *shallow, "origin", wanted)
            revision = "FETCH_HEAD"
        git("-c", "advice.detachedHead=false", "checkout", "--quiet", "--detach", revision)
        yield Path(directory), git("rev-parse", "HEAD").strip()


def _fetch_commit(git: Callable[..., str], commit: str, shallow: tuple[str, ...]) -> None:
    if commit.startswith("-"):
        raise GitError(f"{commit!r} is no commit.")
    if _FULL_ID.fullmatch(commit):
        # Servers may refuse to send a commit that no branch ends in; what they have in branches they always send.
        with contextlib.suppress(GitError):
            git("fetch", "--quiet", "--no-tags", *shallow, "origin", commit)
            return
    git("fetch", "--quiet", "--tags", "origin", "+refs/heads/*:refs/remotes/origin/*")


def _without_credentials(url: str) -> tuple[str, dict[str, str]]:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or "@" not in parts.netloc:
        return url, {}
    user, _, host = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    encoded = base64.b64encode(f"{unquote(name)}:{unquote(password)}".encode()).decode()
    site = urlunsplit((parts.scheme, host, "/", "", ""))
    return urlunsplit(parts._replace(netloc=host)), {f"http.{site}.extraHeader": f"Authorization: Basic {encoded}"}


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    environment.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
    # A repository around the working directory is not the one that is meant.
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        environment.pop(name, None)
    before = int(environment.get("GIT_CONFIG_COUNT") or 0)
    for number, (name, value) in enumerate(settings.items(), before):
        environment[f"GIT_CONFIG_KEY_{number}"] = name
        environment[f"GIT_CONFIG_VALUE_{number}"] = value
    environment["GIT_CONFIG_COUNT"] = str(before + len(settings))
    return environment


def _run(command: tuple[str, ...], directory: str, environment: Mapping[str, str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - the command is git
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise GitError("The command `git` is not installed on this machine.") from error
    if done.returncode:
        raise GitError(done.stderr.strip() or f"git ended with {done.returncode}.")
    return done.stdout
