"""Cloud hooks: what may be stored of one, the event that it reports, and the HTTP requests that report it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

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
_LINK_BASE: Final = "http://localhost:4200"


@dataclass(frozen=True, slots=True)
class HookRequest:
    """One POST; `json` or `form` is its body, `timeout` in seconds."""

    url: str
    timeout: float
    json: Mapping[str, Any] | None = None
    form: Mapping[str, str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    basic_auth: tuple[str, str] | None = None


def checked_states(states: Sequence[str]) -> list[str]:
    """Return names of states in upper case, each once, sorted. Raises BadInputError."""
    names = {state.upper() for state in states}
    if not names or not names <= _STATES:
        raise BadInputError("Invalid states")
    return sorted(names)


def check_config(kind: str, config: object) -> dict[str, Any]:
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
        _check_url(config["url"])
    to = config.get("to")
    if "to" in expected and not (isinstance(to, list) and to and all(isinstance(number, str) for number in to)):
        raise BadInputError("The to of a TWILIO hook must be a list of telephone numbers.")
    if "severity" in expected and config["severity"] not in _SEVERITIES:
        raise BadInputError(f"The severity of a PAGERDUTY hook must be one of {', '.join(sorted(_SEVERITIES))}.")
    return config


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or any(ord(character) <= ord(" ") for character in url):
        raise BadInputError(f"The url of a hook must be an http or https address, but it is {url[:80]!r}.")


def hook_requests(kind: str, config: Mapping[str, Any], event: Mapping[str, Any]) -> list[HookRequest]:
    """Return the requests that report an event; none for PREFECT_MESSAGE, which is stored instead."""
    headers = {"X-PREFECT-EVENT-ID": str(event["id"])}
    match kind:
        case "WEBHOOK":
            return [HookRequest(config["url"], timeout=2, json={"event": event}, headers=headers)]
        case "SLACK_WEBHOOK":
            lines = _lines(event)
            blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": line}} for line in lines]
            return [HookRequest(config["url"], timeout=1, json={"blocks": blocks}, headers=headers)]
        case "TWILIO":
            sid = config["account_sid"]
            return [
                HookRequest(
                    f"https://api.twilio.com/2010-04-01/Accounts/{sid}/Messages.json",
                    timeout=2,
                    form={"To": number, "From": config["messaging_service_sid"], "Body": event_text(event)},
                    basic_auth=(sid, config["auth_token"]),
                )
                for number in config["to"]
            ]
        case "PAGERDUTY":
            page = {
                "routing_key": config["routing_key"],
                "event_action": "trigger",
                "payload": {
                    "summary": event_text(event),
                    "source": "Flowstead",
                    "severity": config["severity"],
                    "custom_details": dict(event),
                },
            }
            token = {"Authorization": f"Token token={config['api_token']}", **headers}
            return [HookRequest(_PAGERDUTY_URL, timeout=2, json=page, headers=token)]
    return []


def event_text(event: Mapping[str, Any]) -> str:
    """Return an event as text for people."""
    return "\n".join(_lines(event))


def _lines(event: Mapping[str, Any]) -> list[str]:
    run, flow, state, tenant = (event[key] for key in ("flow_run", "flow", "state", "tenant"))
    return [
        f"Run {run['name']} of flow {flow['name']}",
        f"State: {state['state']}",
        f"Message: {state['message']}",
        f"{_LINK_BASE}/{tenant['slug']}/flow-run/{run['id']}",
    ]
