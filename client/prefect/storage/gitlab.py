"""Flows as scripts in repositories of GitLab, hosted by GitLab or by oneself."""

from typing import Any, ClassVar
from urllib.parse import quote

from prefect.storage.hosted import HostApi, HostedScript, conventional_secret

__all__ = ["GitLab"]

_HOST = "https://gitlab.com"


class GitLab(HostedScript):
    """Finds flows in the script `path` of `repo` (`group/name`), at the branch, tag or commit `ref` (default `master`).

    The token is the secret `access_token_secret`, else the secret or environment variable `GITLAB_ACCESS_TOKEN`.
    `host` is the address of one's own GitLab.
    """

    fields: ClassVar[tuple[str, ...]] = ("repo", "path", "host", "ref", "access_token_secret")

    def __init__(
        self,
        repo: str,
        host: str | None = None,
        path: str | None = None,
        ref: str | None = None,
        access_token_secret: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.repo = repo
        self.host = host
        self.path = path
        self.ref = ref
        self.access_token_secret = access_token_secret
        super().__init__(**kwargs)

    def download(self, path: str, host: HostApi) -> tuple[str, str | None]:
        """Return the script and its commit."""
        token = conventional_secret(self.access_token_secret, "GITLAB_ACCESS_TOKEN")
        ref = self.ref or "master"
        address = with_scheme(self.host or _HOST)
        script = host.ask(
            f"{address}/api/v4/projects/{quote(self.repo, safe='')}/repository/files/{quote(path, safe='')}/raw",
            f"the file {path!r} of {self.repo!r} at {ref!r}",
            params={"ref": ref},
            # Unlike GitLab's own header, this one does not follow a redirect to another host.
            headers={"Authorization": f"Bearer {token}"} if token else {},
        )
        return script.content.decode(), script.headers.get("X-Gitlab-Commit-Id")


def with_scheme(host: str) -> str:
    """Return the address of a host that may be given without `https://`."""
    return (host if "://" in host else f"https://{host}").rstrip("/")
