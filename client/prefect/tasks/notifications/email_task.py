"""`EmailTask`: a message by e-mail."""

import mimetypes
from collections.abc import Sequence
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from prefect.core.task import Task
from prefect.utilities.delivery import send_mail
from prefect.utilities.secrets import Secret
from prefect.utilities.tasks import defaults_from_attrs

__all__ = ["EmailTask"]

_ARGUMENTS = (
    "subject",
    "msg",
    "email_to",
    "email_from",
    "smtp_server",
    "smtp_port",
    "smtp_type",
    "msg_plain",
    "email_to_cc",
    "email_to_bcc",
    "attachments",
)


class EmailTask(Task):
    """Sends a message with the credentials in the secrets EMAIL_USERNAME and EMAIL_PASSWORD.

    Args:
        subject: The subject.
        msg: The text as HTML.
        email_to: Who gets it; several are separated by commas.
        email_from: Who sends it; EMAIL_USERNAME by default.
        smtp_server: The server that sends it.
        smtp_port: Its port.
        smtp_type: "SSL", "STARTTLS", or "INSECURE" for a server that wants neither encryption nor credentials.
        msg_plain: The text without HTML.
        email_to_cc: Who gets a copy.
        email_to_bcc: Who gets a copy that the others do not see.
        attachments: Paths of files to attach.
        kwargs: As for `Task`.
    """

    def __init__(
        self,
        subject: str | None = None,
        msg: str | None = None,
        email_to: str | None = None,
        email_from: str | None = None,
        smtp_server: str = "smtp.gmail.com",
        smtp_port: int = 465,
        smtp_type: str = "SSL",
        msg_plain: str | None = None,
        email_to_cc: str | None = None,
        email_to_bcc: str | None = None,
        attachments: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        self.subject = subject
        self.msg = msg
        self.email_to = email_to
        self.email_from = email_from
        self.smtp_server = smtp_server
        self.smtp_port = smtp_port
        self.smtp_type = smtp_type
        self.msg_plain = msg_plain
        self.email_to_cc = email_to_cc
        self.email_to_bcc = email_to_bcc
        self.attachments = attachments
        super().__init__(**kwargs)

    @defaults_from_attrs(*_ARGUMENTS)
    def run(
        self,
        subject: str | None = None,
        msg: str | None = None,
        email_to: str | None = None,
        email_from: str | None = None,
        smtp_server: str = "smtp.gmail.com",
        smtp_port: int = 465,
        smtp_type: str = "SSL",
        msg_plain: str | None = None,
        email_to_cc: str | None = None,
        email_to_bcc: str | None = None,
        attachments: Sequence[str] | None = None,
    ) -> None:
        """Send it; raises `ValueError` if nobody is to get it, and what `smtplib` and the secrets raise."""
        if not (email_to or email_to_cc or email_to_bcc):
            raise ValueError("Nobody to send the message to: give `email_to`, `email_to_cc` or `email_to_bcc`.")
        insecure = smtp_type == "INSECURE"
        # Numbers in secrets come as numbers.
        credentials = None if insecure else (str(Secret("EMAIL_USERNAME").get()), str(Secret("EMAIL_PASSWORD").get()))
        message = EmailMessage()
        message["Subject"] = subject or ""
        message["From"] = email_from or (credentials[0] if credentials else "prefect@localhost")
        for header, people in (("To", email_to), ("Cc", email_to_cc), ("Bcc", email_to_bcc)):
            if people:
                message[header] = people
        message.set_content(msg_plain or "")
        if msg and msg_plain:
            message.add_alternative(msg, subtype="html")
        elif msg:
            message.set_content(msg, subtype="html")
        for path in map(Path, attachments or ()):
            kind, _, subkind = (mimetypes.guess_type(path.name)[0] or "application/octet-stream").partition("/")
            message.add_attachment(path.read_bytes(), maintype=kind, subtype=subkind, filename=path.name)
        send_mail(message, smtp_server, smtp_port, smtp_type, credentials)
