"""Flows as scripts in repositories of GitHub or GitHub Enterprise."""

from typing import Any, ClassVar
from urllib.parse import quote

from prefect.storage.hosted import HostApi, HostedScript, conventional_secret

__all__ = ["GitHub"]

_API = "https://api.github.com"


class GitHub(HostedScript):
    """Finds flows in the script `path` of `repo` (`owner/name`), at the branch, tag or commit `ref`.

    Without `ref` the default branch is used.  The token is the secret `access_token_secret`, else the secret or
    environment variable `GITHUB_ACCESS_TOKEN`.  `base_url` is the address of an Enterprise server's API
    (`https://{host}/api/v3`).
    """

    fields: ClassVar[tuple[str, ...]] = ("repo", "path", "ref", "access_token_secret", "base_url")

    def __init__(
        self,
        repo: str,
        path: str,
        ref: str | None = None,
        access_token_secret: str | None = None,
        base_url: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.repo = repo
        self.path = path
        self.ref = ref
        self.access_token_secret = access_token_secret
        self.base_url = base_url
        super().__init__(**kwargs)

    def download(self, path: str, host: HostApi) -> tuple[str, str | None]:
        """Return the script and its commit, which is asked for first so that both are of one moment."""
        repository = f"{(self.base_url or _API).rstrip('/')}/repos/{self.repo}"
        token = conventional_secret(self.access_token_secret, "GITHUB_ACCESS_TOKEN")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        ref = self.ref or "HEAD"
        commit = host.ask(
            f"{repository}/commits/{quote(ref)}",
            f"the revision {ref!r} of {self.repo!r}",
            headers={**headers, "Accept": "application/vnd.github.sha"},
        ).text.strip()
        script = host.ask(
            f"{repository}/contents/{quote(path)}",
            f"the file {path!r} of {self.repo!r} at {ref!r}",
            params={"ref": commit},
            headers={**headers, "Accept": "application/vnd.github.raw"},
        )
        return script.content.decode(), commit
