"""Tasks that tell people something; a message that cannot be delivered fails the task."""

from prefect.tasks.notifications.email_task import EmailTask
from prefect.tasks.notifications.slack_task import SlackTask

__all__ = ["EmailTask", "SlackTask"]
