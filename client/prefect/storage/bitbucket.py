"""Flows as scripts in repositories of Bitbucket Cloud or of a Bitbucket Server (Data Center)."""

from typing import Any, ClassVar
from urllib.parse import quote

from prefect.exceptions import FlowStorageError
from prefect.storage.gitlab import with_scheme
from prefect.storage.hosted import HostApi, HostedScript, conventional_secret

__all__ = ["Bitbucket"]

_CLOUD = "https://api.bitbucket.org"


class Bitbucket(HostedScript):
    """Finds flows in the script `path` of `repo`, at the branch, tag or commit `ref` (default `master`).

    With `workspace` the repository is in Bitbucket Cloud, and user name and app password are the secrets
    `cloud_username_secret` and `cloud_app_password_secret`, else the secrets or environment variables
    `BITBUCKET_CLOUD_USERNAME` and `BITBUCKET_CLOUD_APP_PASSWORD`.  Without, it is in `project` of the server at `host`,
    and the token is the secret `access_token_secret`, else the secret or environment variable `BITBUCKET_ACCESS_TOKEN`.
    Raises `ValueError` for a workspace together with an access token.
    """

    fields: ClassVar[tuple[str, ...]] = (
        "project",
        "repo",
        "workspace",
        "host",
        "path",
        "ref",
        "access_token_secret",
        "cloud_username_secret",
        "cloud_app_password_secret",
    )

    def __init__(
        self,
        project: str,
        repo: str,
        workspace: str | None = None,
        host: str | None = None,
        path: str | None = None,
        ref: str | None = None,
        access_token_secret: str | None = None,
        cloud_username_secret: str | None = None,
        cloud_app_password_secret: str | None = None,
        **kwargs: Any,
    ) -> None:
        if workspace is not None and access_token_secret is not None:
            raise ValueError(
                "Bitbucket Cloud (`workspace`) is accessed with `cloud_username_secret` and "
                "`cloud_app_password_secret`, and Bitbucket Server with `access_token_secret`; got "
                "`workspace` and `access_token_secret`."
            )
        self.project = project
        self.repo = repo
        self.workspace = workspace
        self.host = host
        self.path = path
        self.ref = ref
        self.access_token_secret = access_token_secret
        self.cloud_username_secret = cloud_username_secret
        self.cloud_app_password_secret = cloud_app_password_secret
        super().__init__(**kwargs)

    def download(self, path: str, host: HostApi) -> tuple[str, str | None]:
        """Return the script; neither kind of Bitbucket says its commit."""
        what = f"the file {path!r} of {self.repo!r} at {self.ref or 'master'!r}"
        answer = (
            self._from_cloud(path, what, host) if self.workspace is not None else self._from_server(path, what, host)
        )
        return answer.content.decode(), None

    def _from_cloud(self, path: str, what: str, host: HostApi) -> Any:
        user = conventional_secret(self.cloud_username_secret, "BITBUCKET_CLOUD_USERNAME")
        password = conventional_secret(self.cloud_app_password_secret, "BITBUCKET_CLOUD_APP_PASSWORD")
        auth = (user, password) if user and password else None
        repository = f"{with_scheme(self.host or _CLOUD)}/2.0/repositories/{self.workspace}/{self.repo}"
        ref = self.ref or "master"
        if "/" in ref:
            # In the address of a file a ref ends at the first slash, so the commit is asked for.
            found = host.ask(f"{repository}/refs/branches/{quote(ref, safe='')}", what, auth=auth)
            ref = found.json()["target"]["hash"]
        return host.ask(f"{repository}/src/{quote(ref, safe='')}/{quote(path)}", what, auth=auth)

    def _from_server(self, path: str, what: str, host: HostApi) -> Any:
        if self.host is None:
            raise FlowStorageError(
                f"Where {self.repo!r} is cannot be known: give the `host` of a Bitbucket Server, or the `workspace` of "
                "Bitbucket Cloud."
            )
        token = conventional_secret(self.access_token_secret, "BITBUCKET_ACCESS_TOKEN")
        return host.ask(
            f"{with_scheme(self.host)}/rest/api/1.0/projects/{self.project}/repos/{self.repo}/raw/{quote(path)}",
            what,
            params={"at": self.ref or "master"},
            headers={"Authorization": f"Bearer {token}"} if token else {},
        )
