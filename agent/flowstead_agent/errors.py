"""What can go wrong in an agent, as one tree.

`LaunchError` carries the sentence that is shown to the owner of the run.  `AgentError` children that are no
`LaunchError` concern the agent itself and reach the person who started it.
"""

__all__ = [
    "AgentError",
    "AgentRefusedError",
    "AgentUnknownError",
    "ApiError",
    "ApiRejectedError",
    "ClaimLostError",
    "ForkServerError",
    "KubernetesApiError",
    "LaunchError",
    "LaunchOutcomeUnknownError",
    "NoSubscriptionsError",
    "NonexistentWorkingDirError",
    "UnsupportedRunConfigError",
    "UnsupportedStorageError",
]

_SERVER_FAULT = 500


class AgentError(Exception):
    """Base class of the errors of the agent; its text is one sentence for a person."""


class ApiError(AgentError):
    """The API could not be reached or answered with an error; unless a child says otherwise, trying again may help."""


class AgentRefusedError(AgentError):
    """The API refuses to serve this agent (its key is missing or wrong); trying again does not help."""


class ApiRejectedError(ApiError):
    """The API understood a request and refuses it; the same request would be refused again."""


class NoSubscriptionsError(ApiError):
    """The API, or something in front of it, accepts no websockets."""


class AgentUnknownError(ApiError):
    """The API does not know the id of this agent (any more): it has to register again."""


class ClaimLostError(AgentError):
    """The API refused a write because the run is no longer claimed by this agent."""


class ForkServerError(AgentError):
    """The fork server cannot be started."""


class KubernetesApiError(AgentError):
    """The API of a Kubernetes cluster cannot be reached, or refuses.

    Attribute: `status`, that of the HTTP answer; 0 if there was none.
    """

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status

    @property
    def is_passing(self) -> bool:
        """Whether the same request may go through a moment later."""
        return self.status in {0, 429} or self.status >= _SERVER_FAULT


class LaunchError(AgentError):
    """A flow run cannot be started; the text says why and becomes the message of its Failed state."""


class LaunchOutcomeUnknownError(AgentError):
    """The helper that starts processes vanished while it was starting one, which may or may not be running now."""


class UnsupportedRunConfigError(LaunchError):
    """The run config of a flow run is for another platform than this agent's.

    Attributes: `flow_run_id`, `given` and `supported` (names of run-config types).
    """

    def __init__(self, flow_run_id: str, given: str, supported: str) -> None:
        super().__init__(
            f"Flow run {flow_run_id} has a `run_config` of type `{given}`, only `{supported}` is supported"
        )
        self.flow_run_id = flow_run_id
        self.given = given
        self.supported = supported


class UnsupportedStorageError(LaunchError):
    """The storage of the flow cannot be used on this agent's platform.  Attribute: `storage` (its type name)."""

    def __init__(self, storage: str) -> None:
        super().__init__(f"Unsupported Storage type: {storage}")
        self.storage = storage


class NonexistentWorkingDirError(LaunchError):
    """The working directory that the run config names does not exist here.

    Attributes: `flow_run_id` and `working_dir`.
    """

    def __init__(self, flow_run_id: str, working_dir: str) -> None:
        super().__init__(f"Flow run {flow_run_id} has a nonexistent `working_dir` configured: {working_dir}")
        self.flow_run_id = flow_run_id
        self.working_dir = working_dir
