"""Cloud hooks without any network: pauses, addresses, signatures, and what is sent to whom."""

import hashlib
import hmac
import json
import re
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest

from flowstead_server.domain.addresses import AddressRules, is_refused_literal, parse_allowed
from flowstead_server.domain.errors import BadInputError
from flowstead_server.domain.hook_rules import HookRules, pause_after
from flowstead_server.domain.hooks import check_config, check_secret, hook_requests, signature

RULES = HookRules()
OPEN = AddressRules(allow_private=True)
STRICT = AddressRules()


def event(**members: Any) -> dict[str, Any]:
    return {
        "id": "e-1",
        "flow_run": {"id": "r-1", "name": "run"},
        "flow": {"name": "flow"},
        "tenant": {"slug": "default"},
        "state": {"state": "Failed", "message": "boom", "serialized_state": {"big": "x" * 10_000}},
        **members,
    }


def requests(kind: str, config: dict[str, Any], one: dict[str, Any] | None = None, **members: Any) -> Any:
    return hook_requests(kind, config, one or event(), link_base="https://flows", **members)


def test_pauses_grow_up_to_the_longest_and_then_end() -> None:
    pauses = [pause_after(attempt, RULES, 1.0) for attempt in range(1, 11)]
    assert pauses == [*(timedelta(seconds=s) for s in (5, 15, 45, 135, 405, 1215, 3600, 3600, 3600)), None]
    assert pause_after(1, RULES, 0.0) == timedelta(seconds=2.5)
    assert pause_after(1, RULES, 0.0, timedelta(seconds=60)) == timedelta(seconds=60)
    assert pause_after(1, RULES, 0.0, timedelta(days=9)) == RULES.longest_pause
    patient = HookRules(attempts=10**9, longest_pause=timedelta(days=1))
    assert pause_after(10**8, patient, 1.0) == timedelta(days=1)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "192.0.0.192",
        "fec0::1",
        "64:ff9b:1::a00:1",
        "::7f00:1",
        "::ffff:0:7f00:1",
        "nonsense",
    ],
)
def test_addresses_inside_are_refused(address: str) -> None:
    assert not STRICT.allow("receiver.example", address)
    assert OPEN.allow("receiver.example", address)


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"])
def test_public_addresses_are_allowed(address: str) -> None:
    assert STRICT.allow("receiver.example", address)


def test_hosts_and_networks_can_be_allowed() -> None:
    hosts, networks = parse_allowed(["Grafana.internal.", " .corp.example", "10.1.0.0/16", "::1", ""])
    rules = AddressRules(hosts=hosts, networks=networks)
    for host, address, allowed in [
        ("grafana.INTERNAL", "192.168.0.1", True),
        ("x.grafana.internal", "192.168.0.1", False),
        ("a.b.corp.example", "127.0.0.1", True),
        ("corp.example", "127.0.0.1", False),
        ("evilcorp.example", "127.0.0.1", False),
        ("other", "10.1.2.3", True),
        ("other", "10.2.2.3", False),
        ("other", "::1", True),
    ]:
        assert rules.allow(host, address) is allowed, (host, address)
    for nonsense in ("http://x", "10.0.0.0/99", "a b", "."):
        with pytest.raises(ValueError, match=re.escape(nonsense)):
            parse_allowed([nonsense])


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "2130706433",
        "017700000001",
        "[::1]",
        "::ffff:127.0.0.1",
        "localhost",
        "LOCALHOST.",
        "a.localhost",
    ],
)
def test_literal_addresses_are_refused_at_once_in_any_notation(host: str) -> None:
    assert is_refused_literal(STRICT, host)
    assert not is_refused_literal(OPEN, host)
    url = f"http://{f'[{host}]' if '::' in host and '[' not in host else host}:8080/hook"
    with pytest.raises(BadInputError, match=r"may not lead to .*HOOKS__ALLOWED_HOSTS"):
        check_config("WEBHOOK", {"url": url}, STRICT)
    assert check_config("WEBHOOK", {"url": url}, OPEN)


def test_names_are_not_refused_before_they_are_looked_up() -> None:
    assert check_config("WEBHOOK", {"url": "https://user:pw@example.com/x"}, STRICT)
    assert not is_refused_literal(STRICT, "8.8.8.8")


def test_secrets() -> None:
    assert check_secret("WEBHOOK", None) is None
    assert check_secret("SLACK_WEBHOOK", "s") == "s"
    for kind, secret in [("TWILIO", "s"), ("PREFECT_MESSAGE", "s"), ("WEBHOOK", ""), ("WEBHOOK", "ü" * 501)]:
        with pytest.raises(BadInputError, match="secret"):
            check_secret(kind, secret)


def test_the_signature_is_that_of_time_and_body() -> None:
    digest = hmac.new(b"s", b'1700000000.{"a":1}', hashlib.sha256).hexdigest()
    assert signature("s", b'{"a":1}', 1_700_000_000) == f"t=1700000000,v1={digest}"


def test_webhooks_get_the_event() -> None:
    (request,) = requests("WEBHOOK", {"url": "http://x"}, secret="s")
    assert json.loads(request.body) == {"event": event()}
    assert request.headers == {"X-PREFECT-EVENT-ID": "e-1", "Content-Type": "application/json"}
    assert (request.url, request.timeout, request.secret) == ("http://x", 2, "s")
    assert requests("WEBHOOK", {"url": "http://x"}, timeout=9)[0].timeout == 9


def test_slack_cannot_be_made_to_call_everybody() -> None:
    one = event(flow_run={"id": "r-1", "name": "<!channel> & <b>"})
    (request,) = requests("SLACK_WEBHOOK", {"url": "http://x"}, one)
    blocks = json.loads(request.body)["blocks"]
    assert {block["type"] for block in blocks} == {"section"}
    assert [block["text"] for block in blocks] == [
        {"type": "mrkdwn", "text": text}
        for text in (
            "Run &lt;!channel&gt; &amp; &lt;b&gt; of flow flow",
            "State: Failed",
            "Message: boom",
            "https://flows/default/flow-run/r-1",
        )
    ]
    assert request.timeout == 1


def test_long_messages_are_cut_to_what_receivers_take() -> None:
    one = event(state={"state": "Failed", "message": "m" * 100_000, "serialized_state": {}})
    for block in json.loads(requests("SLACK_WEBHOOK", {"url": "http://x"}, one)[0].body)["blocks"]:
        assert len(block["text"]["text"]) <= 3000


def test_twilio_gets_one_message_for_each_number() -> None:
    config = {"account_sid": "a/c", "auth_token": "t", "messaging_service_sid": "m", "to": ["+1", "+2"]}
    made = requests("TWILIO", config)
    assert [parse_qs(request.body.decode())["To"] for request in made] == [["+1"], ["+2"]]
    form = parse_qs(made[0].body.decode())
    assert form["From"] == ["m"]
    assert form["Body"][0].splitlines()[1] == "State: Failed"
    assert made[0].basic_auth == ("a/c", "t")
    assert made[0].url == "https://api.twilio.com/2010-04-01/Accounts/a%2Fc/Messages.json"


def test_pagerduty_makes_one_incident_of_repetitions() -> None:
    (request,) = requests("PAGERDUTY", {"api_token": "t", "routing_key": "r", "severity": "error"})
    page = json.loads(request.body)
    assert (page["event_action"], page["routing_key"], page["dedup_key"]) == ("trigger", "r", "e-1")
    assert page["payload"]["severity"] == "error"
    assert page["payload"]["custom_details"]["state"]["serialized_state"] is None
    assert request.headers["Authorization"] == "Token token=t"
    assert request.url == "https://events.pagerduty.com/v2/enqueue"


def test_messages_are_not_sent() -> None:
    assert requests("PREFECT_MESSAGE", {}) == []
