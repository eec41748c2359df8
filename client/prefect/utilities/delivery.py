"""Hand messages over: JSON to a webhook, mail to a server.  Each loads its library when something is sent."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from email.message import EmailMessage

__all__ = ["post_json", "send_mail"]

_TIMEOUT = 30.0


def post_json(
    url: str,
    payload: Mapping[str, Any],
    *,
    proxies: Mapping[str, str] | None = None,
    credentials: tuple[str, str] | None = None,
) -> int | None:
    """Post JSON to a URL; returns None if it was taken, else the HTTP status.

    `proxies` maps "http" and "https" to the URL of a proxy; `credentials` are a name and a password.  Raises `OSError`
    if the server cannot be reached within 30 seconds, `ValueError` for what is no URL.
    """
    from prefect.client import lean_httpx  # noqa: F401, PLC0415 - before httpx, which takes a while to load

    import httpx  # noqa: PLC0415 - as above # isort: skip

    try:
        target = httpx.URL(url)
        proxy = (proxies or {}).get(target.scheme)
        with httpx.Client(proxy=proxy, timeout=_TIMEOUT, auth=credentials) as client:
            answer = client.post(target, json=dict(payload))
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise ValueError(f"The address to send to is no http:// or https:// URL: {error}") from None
    except httpx.TransportError as error:
        raise OSError(f"Nothing could be sent to {target.host}: {error}") from error
    return None if answer.is_success else answer.status_code


def send_mail(
    message: "EmailMessage", host: str, port: int, security: str, credentials: tuple[str, str] | None = None
) -> None:
    """Send a message by a server; `security` is "SSL", "STARTTLS" or "INSECURE", `credentials` a name and a password.

    Raises `ValueError` for another kind of security, `OSError` (of which `smtplib.SMTPException` is one) otherwise.
    """
    import smtplib  # noqa: PLC0415 - few programs send mail

    if security not in {"SSL", "STARTTLS", "INSECURE"}:
        raise ValueError(f"The type of SMTP is {security!r}; it must be SSL, STARTTLS or INSECURE.")
    kind = smtplib.SMTP_SSL if security == "SSL" else smtplib.SMTP
    with kind(host, port, timeout=_TIMEOUT) as server:
        if security == "STARTTLS":
            server.starttls()
        if credentials is not None:
            server.login(*credentials)
        server.send_message(message)
