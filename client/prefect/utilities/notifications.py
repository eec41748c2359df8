"""State handlers that tell people, and state handlers made of functions.

Notifiers are curried: `slack_notifier(only_states=[Failed])` is a state handler.  What keeps a message from being sent
is raised, and ends the run as Failed, as with every state handler.
"""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from prefect.utilities.context import context
from prefect.utilities.delivery import post_json, send_mail
from prefect.utilities.secrets import Secret

if TYPE_CHECKING:
    from email.message import EmailMessage

    from prefect.core.flow import Flow
    from prefect.core.task import Task
    from prefect.engine.state import State

    TrackedObject = Task | Flow
    States = Iterable[type[State]] | None

__all__ = [
    "callback_factory",
    "gmail_notifier",
    "jira_notifier",
    "slack_message_formatter",
    "slack_notifier",
]

_GMAIL = "smtp.gmail.com"
_GMAIL_PORT = 465
_JIRA_AUTOMATIC = "-1"
_HANDLER_ARGUMENTS = ("tracked_obj", "old_state", "new_state")


def callback_factory(fn: Callable[[Any, Any], Any], check: Callable[[Any], bool]) -> Callable[..., Any]:
    """Return a state handler that calls `fn(obj, new_state)` when `check(new_state)` is True."""

    def state_handler(obj: Any, old_state: Any, new_state: Any) -> Any:
        if check(new_state) is True:
            fn(obj, new_state)
        return new_state

    return state_handler


def _curried(notifier: Callable[..., Any]) -> Callable[..., Any]:
    """Let a notifier be called with some arguments now and the others later; wrong names raise `TypeError` at once."""
    signature = inspect.signature(notifier)

    @functools.wraps(notifier)
    def collect(*args: Any, **kwargs: Any) -> Any:
        known = signature.bind_partial(*args, **kwargs).arguments
        if all(name in known for name in _HANDLER_ARGUMENTS):
            return notifier(*args, **kwargs)
        return functools.partial(collect, *args, **kwargs)

    return collect


def _is_wanted(state: "State", ignore_states: "States", only_states: "States") -> bool:
    if isinstance(state, tuple(ignore_states or ())):
        return False
    return not only_states or isinstance(state, tuple(only_states))


def _described(state: "State") -> str:
    """Return the message of a state, or the exception that is its result."""
    result = state.result
    if isinstance(result, Exception):
        return f"```{result!r}```"
    return state.message or ""


def _page(tracked_obj: "TrackedObject") -> str | None:
    """Return the address of the page about the run, if it is a run of the API."""
    from prefect.core.task import Task  # noqa: PLC0415 - handlers are made while tasks are

    kind = "task-run" if isinstance(tracked_obj, Task) else "flow-run"
    run_id = context.get(kind.replace("-", "_") + "_id")
    if not run_id or not context.get("running_with_backend"):
        return None
    from prefect.client import Client  # noqa: PLC0415 - only runs of the API need it

    return Client().get_cloud_url(kind, run_id)


def slack_message_formatter(tracked_obj: "TrackedObject", state: "State", backend_info: bool = True) -> dict[str, Any]:
    """Return a message for Slack about a new state, with a link to the page of the run if `backend_info`."""
    text = _described(state)
    attachment: dict[str, Any] = {
        "fallback": "State change notification",
        "color": state.color,
        "author_name": "Prefect",
        "fields": [{"title": "Message", "value": text, "short": False}] if text else [],
        "title": type(state).__name__,
        "text": f"{tracked_obj.name} is now in a {type(state).__name__} state",
        "footer": "Prefect notification",
    }
    page = _page(tracked_obj) if backend_info else None
    if page is not None:
        attachment["title_link"] = page
    return {"attachments": [attachment]}


@_curried
def slack_notifier(
    tracked_obj: "TrackedObject",
    old_state: "State",
    new_state: "State",
    ignore_states: "States" = None,
    only_states: "States" = None,
    webhook_secret: str | None = None,
    backend_info: bool = True,
    proxies: Mapping[str, str] | None = None,
) -> "State":
    """Tell a channel of Slack of new states.

    Args:
        tracked_obj: The task or flow.
        old_state: Its state before.
        new_state: Its state now, which is returned.
        ignore_states: Classes of states that are not told.
        only_states: Classes of states that are told; all by default.
        webhook_secret: Name of the secret with the URL of the webhook, SLACK_WEBHOOK_URL by default.
        backend_info: Link to the page of the run.
        proxies: Maps "http" and "https" to the URL of a proxy.

    Raises:
        ValueError: Slack did not take the message, or there is no such secret.
        OSError: Slack cannot be reached.
    """
    if _is_wanted(new_state, ignore_states, only_states):
        url = str(Secret(webhook_secret or "SLACK_WEBHOOK_URL").get())
        message = slack_message_formatter(tracked_obj, new_state, backend_info)
        if post_json(url, message, proxies=proxies) is not None:
            raise ValueError(f"Slack notification for {tracked_obj} failed")
    return new_state


def _mail(tracked_obj: "TrackedObject", state: "State", user: str) -> "EmailMessage":
    from email.message import EmailMessage  # noqa: PLC0415 - few programs send mail

    message = EmailMessage()
    message["Subject"] = f"Prefect state change notification for {tracked_obj.name}"
    message["From"] = message["To"] = user
    kind = type(state).__name__
    message.set_content(f"{tracked_obj.name} is now in a {kind} state\n\n{_described(state)}\n")
    return message


@_curried
def gmail_notifier(
    tracked_obj: "TrackedObject",
    old_state: "State",
    new_state: "State",
    ignore_states: "States" = None,
    only_states: "States" = None,
) -> "State":
    """Tell the owner of the Gmail account in the secrets EMAIL_USERNAME and EMAIL_PASSWORD of new states.

    The other arguments are those of `slack_notifier`.  Raises `ValueError` if the mail could not be sent.
    """
    if _is_wanted(new_state, ignore_states, only_states):
        user, password = (str(Secret(name).get()) for name in ("EMAIL_USERNAME", "EMAIL_PASSWORD"))
        try:
            send_mail(_mail(tracked_obj, new_state, user), _GMAIL, _GMAIL_PORT, "SSL", (user, password))
        except OSError as error:
            raise ValueError(f"Email notification for {tracked_obj} failed") from error
    return new_state


@_curried
def jira_notifier(
    tracked_obj: "TrackedObject",
    old_state: "State",
    new_state: "State",
    ignore_states: "States" = None,
    only_states: "States" = None,
    server_URL: str | None = None,  # noqa: N803 - the name is part of the 1.x API
    options: Mapping[str, Any] | None = None,
    assignee: str = _JIRA_AUTOMATIC,
) -> "State":
    """Create an issue in Jira for new states, with the credentials in the secret JIRASECRETS.

    The secret is a mapping with JIRAUSER, JIRATOKEN and JIRASERVER; `server_URL` goes before the last.  `options` are
    fields of the issue, `project` and `issuetype` among them; `assignee` is a name, "-1" lets Jira choose.  The other
    arguments are those of `slack_notifier`.  Raises `ValueError` if Jira did not take the issue.
    """
    if _is_wanted(new_state, ignore_states, only_states):
        secret = Secret("JIRASECRETS").get()
        kind = type(new_state).__name__
        text = f"{tracked_obj.name} is now in a {kind} state"
        fields = {"description": _described(new_state), "summary": text, **(options or {})}
        if assignee != _JIRA_AUTOMATIC:
            fields["assignee"] = {"name": assignee}
        server = (server_URL or secret["JIRASERVER"]).rstrip("/")
        credentials = (str(secret["JIRAUSER"]), str(secret["JIRATOKEN"]))
        if post_json(f"{server}/rest/api/2/issue", {"fields": fields}, credentials=credentials) is not None:
            raise ValueError(f"Jira notification for {tracked_obj} failed")
    return new_state
