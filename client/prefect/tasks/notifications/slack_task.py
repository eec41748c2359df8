"""`SlackTask`: a message to a channel of Slack."""

from collections.abc import Mapping
from typing import Any

from prefect.core.task import Task
from prefect.utilities.delivery import post_json
from prefect.utilities.secrets import Secret
from prefect.utilities.tasks import defaults_from_attrs

__all__ = ["SlackTask"]


class SlackTask(Task):
    """Posts a text, or a message in Slack's JSON, to the webhook in the secret `webhook_secret`."""

    def __init__(
        self,
        message: str | Mapping[str, Any] | None = None,
        webhook_secret: str = "SLACK_WEBHOOK_URL",  # noqa: S107 - the name of a secret
        **kwargs: Any,
    ) -> None:
        self.message = message
        self.webhook_secret = webhook_secret
        super().__init__(**kwargs)

    @defaults_from_attrs("message", "webhook_secret")
    def run(
        self,
        message: str | Mapping[str, Any] | None = None,
        webhook_secret: str | None = None,
        webhook_url: str | None = None,
    ) -> None:
        """Post it; `webhook_url` goes before the secret.

        Raises `ValueError` without a message or if Slack does not take it, `OSError` if Slack cannot be reached.
        """
        if not message:
            raise ValueError("A message must be provided.")
        url = webhook_url or str(Secret(webhook_secret or self.webhook_secret).get())
        status = post_json(url, {"text": message} if isinstance(message, str) else dict(message))
        if status is not None:
            raise ValueError(f"Slack did not take the message: it answered with HTTP status {status}.")
