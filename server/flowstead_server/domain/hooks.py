"""Cloud hooks: what may be stored of one, and the HTTP requests that report an event."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode, urlsplit

import orjson

from flowstead_server.domain.addresses import AddressRules, is_refused_literal
from flowstead_server.domain.errors import BadInputError
from flowstead_server.domain.states import STATE_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_STATES: Final = frozenset(name.upper() for name in STATE_NAMES)
_CONFIG_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "WEBHOOK": frozenset({"url"}),
    "SLACK_WEBHOOK": frozenset({"url"}),
    "TWILIO": frozenset({"account_sid", "auth_token", "messaging_service_sid", "to"}),
    "PAGERDUTY": frozenset({"api_token", "routing_key", "severity"}),
}
_SEVERITIES: Final = frozenset({"info", "warning", "error", "critical"})
_PAGERDUTY_URL: Final = "https://events.pagerduty.com/v2/enqueue"
MESSAGE_TYPE: Final = "CLOUD_HOOK"
SIGNATURE_HEADER: Final = "X-Flowstead-Signature"
_SIGNED: Final = frozenset({"WEBHOOK", "SLACK_WEBHOOK"})
_MAX_SECRET_BYTES: Final = 1000
# What the other systems take: longer texts are refused by them.
_LONGEST_LINE: Final = 700
_LONGEST_SMS: Final = 1600
_LONGEST_SUMMARY: Final = 1024


@dataclass(frozen=True, slots=True)
class HookRequest:
    """One POST; `timeout` in seconds. With a `secret` the body is signed when it is sent."""

    url: str
    timeout: float
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    basic_auth: tuple[str, str] | None = None
    secret: str | None = None


def checked_states(states: Sequence[str]) -> list[str]:
    """Return names of states in upper case, each once, sorted. Raises BadInputError."""
    names = {state.upper() for state in states}
    if not names or not names <= _STATES:
        raise BadInputError("Invalid states")
    return sorted(names)


def check_config(kind: str, config: object, addresses: AddressRules) -> dict[str, Any]:
    """Return the configuration of a hook (null: empty). Raises BadInputError if it does not fit the hook's type."""
    if config is None:
        config = {}
    if not isinstance(config, dict):
        raise BadInputError(f"The config of a cloud hook must be a JSON object, but it is {str(config)[:80]!r}.")
    expected = _CONFIG_KEYS.get(kind)
    if expected is None:
        return config
    if config.keys() != expected:
        raise BadInputError(f"The config of a {kind} hook must have exactly these keys: {', '.join(sorted(expected))}.")
    for key in expected - {"to"}:
        if not isinstance(config[key], str) or not config[key]:
            raise BadInputError(f"The {key} of a {kind} hook must be text.")
    if "url" in expected:
        _check_url(config["url"], addresses)
    to = config.get("to")
    if "to" in expected and not (isinstance(to, list) and to and all(isinstance(number, str) for number in to)):
        raise BadInputError("The to of a TWILIO hook must be a list of telephone numbers.")
    if "severity" in expected and config["severity"] not in _SEVERITIES:
        raise BadInputError(f"The severity of a PAGERDUTY hook must be one of {', '.join(sorted(_SEVERITIES))}.")
    return config


def check_secret(kind: str, secret: str | None) -> str | None:
    """Return the secret of a hook. Raises BadInputError if it is none, or the hook's type cannot use one."""
    if secret is None:
        return None
    if kind not in _SIGNED:
        raise BadInputError(f"Only WEBHOOK and SLACK_WEBHOOK hooks have a secret, not {kind} hooks.")
    if not 1 <= len(secret.encode()) <= _MAX_SECRET_BYTES or "\0" in secret:
        raise BadInputError(f"The secret of a hook must have 1 to {_MAX_SECRET_BYTES} bytes, none of them NUL.")
    return secret


def _check_url(url: str, addresses: AddressRules) -> None:
    host = ""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        usable = parts.scheme in {"http", "https"} and bool(host) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or any(ord(character) <= ord(" ") for character in url):
        raise BadInputError(f"The url of a hook must be an http or https address, but it is {url[:80]!r}.")
    if is_refused_literal(addresses, host):
        raise BadInputError(
            f"The url of a hook may not lead to {host[:80]}: addresses of this machine and of private networks are "
            "refused. Whoever runs the server can allow it with PREFECT__SERVER__HOOKS__ALLOWED_HOSTS."
        )


def signature(secret: str, body: bytes, moment: int) -> str:
    """Return the value of the signature header: the time (Unix seconds), and the HMAC-SHA256 of time, dot and body."""
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"


def hook_requests(
    kind: str,
    config: Mapping[str, Any],
    event: Mapping[str, Any],
    *,
    link_base: str,
    secret: str | None = None,
    timeout: float | None = None,
) -> list[HookRequest]:
    """Return the requests that report an event; none for PREFECT_MESSAGE, which is stored instead.

    `timeout` in seconds; null: what is usual for the type.
    """
    lines = _lines(event, link_base)
    text = "\n".join(lines)
    headers = {"X-PREFECT-EVENT-ID": str(event["id"]), "Content-Type": "application/json"}
    seconds = timeout or (1.0 if kind == "SLACK_WEBHOOK" else 2.0)
    match kind:
        case "WEBHOOK":
            return [HookRequest(config["url"], seconds, orjson.dumps({"event": event}), headers, secret=secret)]
        case "SLACK_WEBHOOK":
            blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": _escaped(line)}} for line in lines]
            return [HookRequest(config["url"], seconds, orjson.dumps({"blocks": blocks}), headers, secret=secret)]
        case "TWILIO":
            sid = config["account_sid"]
            form = {"From": config["messaging_service_sid"], "Body": text[:_LONGEST_SMS]}
            return [
                HookRequest(
                    f"https://api.twilio.com/2010-04-01/Accounts/{quote(sid, safe='')}/Messages.json",
                    seconds,
                    urlencode({"To": number, **form}).encode(),
                    {**headers, "Content-Type": "application/x-www-form-urlencoded"},
                    basic_auth=(sid, config["auth_token"]),
                )
                for number in config["to"]
            ]
        case "PAGERDUTY":
            page = {
                "routing_key": config["routing_key"],
                "event_action": "trigger",
                # sent again, it stays one incident
                "dedup_key": str(event["id"]),
                "payload": {
                    "summary": text[:_LONGEST_SUMMARY],
                    "source": "Flowstead",
                    "severity": config["severity"],
                    # without what may be as large as a megabyte
                    "custom_details": {**event, "state": {**event["state"], "serialized_state": None}},
                },
            }
            token = {"Authorization": f"Token token={config['api_token']}", **headers}
            return [HookRequest(_PAGERDUTY_URL, seconds, orjson.dumps(page), token)]
    return []


def event_text(event: Mapping[str, Any], link_base: str) -> str:
    """Return an event as text for people."""
    return "\n".join(_lines(event, link_base))


def _lines(event: Mapping[str, Any], link_base: str) -> list[str]:
    run, flow, state, tenant = (event[key] for key in ("flow_run", "flow", "state", "tenant"))
    texts = [
        f"Run {run['name']} of flow {flow['name']}",
        f"State: {state['state']}",
        f"Message: {state['message']}",
    ]
    return [
        *(text if len(text) <= _LONGEST_LINE else f"{text[: _LONGEST_LINE - 1]}…" for text in texts),
        f"{link_base}/{tenant['slug']}/flow-run/{run['id']}",
    ]


def _escaped(text: str) -> str:
    # Slack's own marks begin with these: without it the name of a run could call a whole channel
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
