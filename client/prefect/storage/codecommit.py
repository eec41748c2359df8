"""Flows as scripts in repositories of AWS CodeCommit; using it raises `ImportError` without the extra `aws`."""

from collections.abc import Mapping
from typing import Any, ClassVar

from prefect.exceptions import FlowStorageError
from prefect.storage.hosted import HostApi, HostedScript
from prefect.utilities.context import context
from prefect.utilities.extras import import_extra
from prefect.utilities.secrets import Secret

__all__ = ["CodeCommit"]


class CodeCommit(HostedScript):
    """Finds flows in the script `path` of `repo`, at `commit` (an id, branch or tag; default the default branch).

    `client_options` are those of `boto3.client("codecommit", ...)`; without credentials among them, the secret
    `AWS_CREDENTIALS` and then AWS's own places are used.
    """

    fields: ClassVar[tuple[str, ...]] = ("repo", "path", "commit", "client_options")

    def __init__(
        self,
        repo: str,
        path: str | None = None,
        commit: str | None = None,
        client_options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.repo = repo
        self.path = path
        self.commit = commit
        self.client_options = dict(client_options) if client_options is not None else None
        super().__init__(**kwargs)

    def download(self, path: str, host: HostApi) -> tuple[str, str | None]:
        """Return the script and its commit."""
        session = import_extra("botocore.session", "aws", "AWS CodeCommit").get_session()
        options = dict(self.client_options or {})
        if "aws_access_key_id" not in options and "AWS_CREDENTIALS" in (context.get("secrets") or {}):
            secret = Secret("AWS_CREDENTIALS").get()
            options["aws_access_key_id"] = secret["ACCESS_KEY"]
            options["aws_secret_access_key"] = secret["SECRET_ACCESS_KEY"]
            options["aws_session_token"] = secret.get("SESSION_TOKEN")
        where = {"commitSpecifier": self.commit} if self.commit is not None else {}
        try:
            client = session.create_client("codecommit", **options)
            found = client.get_file(repositoryName=self.repo, filePath=path, **where)
        except Exception as error:
            raise FlowStorageError(f"CodeCommit did not give the file {path!r} of {self.repo!r}: {error}") from error
        return found["fileContent"].decode(), found["commitId"]
