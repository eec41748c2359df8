"""Flows as scripts in any git repository, which is fetched by the `git` command where the flow runs."""

from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from prefect.exceptions import FlowStorageError
from prefect.storage.base import Storage
from prefect.utilities.git import GitError, checkout
from prefect.utilities.secrets import Secret
from prefect.utilities.storage import extract_flow_from_file

if TYPE_CHECKING:
    from prefect.core.flow import Flow

__all__ = ["Git"]


class Git(Storage):
    """Finds flows in the script `flow_path` of a repository, at a branch, a tag, a commit or the default branch.

    The repository is `repo` (`owner/name`) on `repo_host`, by HTTPS or with `use_ssh` by SSH, or the URL in the secret
    `git_clone_url_secret_name`.  The secret `git_token_secret_name` is the password of `git_token_username` (default
    the repository's owner); with `format_access_token=False` it is all of what stands before the `@` of the URL.
    `clone_depth` is the number of commits that are fetched.  Raises `ValueError` for more than one of branch, tag and
    commit, and without repository.
    """

    fields: ClassVar[tuple[str, ...]] = (
        "flow_path",
        "repo",
        "repo_host",
        "flow_name",
        "git_token_secret_name",
        "git_token_username",
        "git_clone_url_secret_name",
        "branch_name",
        "tag",
        "commit",
        "clone_depth",
        "use_ssh",
        "format_access_token",
    )

    def __init__(
        self,
        flow_path: str,
        repo: str | None = None,
        repo_host: str = "github.com",
        flow_name: str | None = None,
        git_token_secret_name: str | None = None,
        git_token_username: str | None = None,
        git_clone_url_secret_name: str | None = None,
        branch_name: str | None = None,
        tag: str | None = None,
        commit: str | None = None,
        clone_depth: int = 1,
        use_ssh: bool = False,
        format_access_token: bool = True,
        **kwargs: Any,
    ) -> None:
        if sum(given is not None for given in (branch_name, tag, commit)) > 1:
            raise ValueError(
                "Please provide only one of the following parameters: `branch_name`, `tag`, `commit`; got "
                f"branch_name={branch_name!r}, tag={tag!r}, commit={commit!r}."
            )
        if repo is None and git_clone_url_secret_name is None:
            raise ValueError("Either `repo` or `git_clone_url_secret_name` must be provided")
        self.flow_path = flow_path
        self.repo = repo
        self.repo_host = repo_host
        self.flow_name = flow_name
        self.git_token_secret_name = git_token_secret_name
        self.git_token_username = git_token_username or (repo.partition("/")[0] if repo is not None else None)
        self.git_clone_url_secret_name = git_clone_url_secret_name
        self.branch_name = branch_name
        self.tag = tag
        self.commit = commit
        self.clone_depth = clone_depth
        self.use_ssh = use_ssh
        self.format_access_token = format_access_token
        kwargs["stored_as_script"] = True
        super().__init__(**kwargs)

    def add_flow(self, flow: "Flow") -> str:
        """Note that the script has the flow; returns the script's path."""
        self._refuse_second(flow)
        self.flows[flow.name] = self.flow_path
        self._flows[flow.name] = flow
        return self.flow_path

    @property
    def git_clone_url(self) -> str:
        """The URL that git fetches from, with the token in it if there is one; raises what `Secret.get` raises."""
        if self.git_clone_url_secret_name is not None:
            return str(Secret(self.git_clone_url_secret_name).get())
        if self.use_ssh:
            return f"git@{self.repo_host}:{self.repo}.git"
        user = ""
        if self.git_token_secret_name is not None:
            token = str(Secret(self.git_token_secret_name).get())
            if self.format_access_token:
                user = f"{quote(str(self.git_token_username), safe='')}:{quote(token, safe='')}@"
            else:
                user = f"{token}@"
        return f"https://{user}{self.repo_host}/{self.repo}.git"

    def get_flow(self, flow_name: str) -> "Flow":
        """Fetch the repository and return the flow of that name from its script.

        Raises `FlowStorageError` if the repository cannot be fetched or has no such file.
        """
        self._location(flow_name)
        repository = self.repo or f"the URL in the secret {self.git_clone_url_secret_name!r}"
        self.logger.info("Cloning git repository %s", repository)
        try:
            with checkout(
                self.git_clone_url,
                branch=self.branch_name,
                tag=self.tag,
                commit=self.commit,
                depth=self.clone_depth or None,
            ) as (directory, commit):
                self.logger.info("Flow successfully downloaded. Using commit: %s", commit)
                path = directory / self.flow_path
                if not path.is_file():
                    raise FlowStorageError(
                        f"The flow {flow_name!r} is stored in {self.flow_path!r} of {repository}, which has no such "
                        f"file at commit {commit}."
                    )
                return extract_flow_from_file(str(path), flow_name=self.flow_name or flow_name)
        except GitError as error:
            raise FlowStorageError(f"The flow {flow_name!r} could not be fetched from {repository}: {error}") from error
