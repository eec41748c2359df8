"""Sending to receivers of every kind, by real sockets: what counts as arrived, and where no connection is ever made."""

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hook_receivers import OK, receiver, status

from flowstead_server.domain.addresses import AddressRules, parse_allowed
from flowstead_server.domain.hook_rules import HookRules
from flowstead_server.domain.hooks import HookRequest
from flowstead_server.orchestration.hook_sender import DeliveryError, HookSender
from flowstead_server.orchestration.lookups import Lookups

TLS = Path(__file__).parents[2] / "support" / "tls"
JSON = {"Content-Type": "application/json"}


class Names(Lookups):
    """Knows the addresses of some names, and asks nobody."""

    def __init__(self, **names: list[str]) -> None:
        super().__init__()
        self.names = {name.replace("_", "."): addresses for name, addresses in names.items()}

    async def addresses(self, host: str, port: int) -> list[str]:
        return self.names[host]


def sender(rules: AddressRules | None = None, lookups: Lookups | None = None) -> HookSender:
    made = HookSender(None)  # type: ignore[arg-type] # it only marks whose sender it is
    made.rules = HookRules(addresses=rules or AddressRules(allow_private=True))
    if lookups is not None:
        made._lookups = lookups
    return made


def request(url: str, timeout: float = 10, **members: Any) -> HookRequest:
    return HookRequest(url, timeout, b'{"event": {}}', JSON, **members)


async def failure(using: HookSender, one: HookRequest) -> str:
    with pytest.raises(DeliveryError) as caught:
        await using.send(one)
    return caught.value.message


@pytest.mark.parametrize(
    "answer",
    [
        OK,
        status(204),
        # accepted already, whatever becomes of the rest
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this",
        b"HTTP/1.1 202 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ],
)
async def test_what_counts_as_arrived(answer: bytes) -> None:
    async with receiver(answer) as other:
        await sender().send(request(other.url))
    assert other.bodies == [b'{"event": {}}']


@pytest.mark.parametrize(
    ("answer", "slow", "reason"),
    [
        (None, False, "The hook's receiver did not answer within 0.3 seconds."),
        (OK, True, "The hook's receiver did not answer within 0.3 seconds."),
        (status(500), False, "The hook's receiver refused the event with the status 500."),
        (
            status(302, "Location: http://127.0.0.1:1/"),
            False,
            "The hook's receiver refused the event with the status 302.",
        ),
        (b"nonsense\r\n\r\n", False, "The hook's receiver cannot be reached: "),
        (b"", False, "The hook's receiver cannot be reached: "),
        (b"HTTP/1.1 200", False, "The hook's receiver cannot be reached: "),
    ],
)
async def test_what_does_not(answer: bytes | None, slow: bool, reason: str) -> None:
    async with receiver(answer, slow=slow) as other:
        timeout = 0.3 if slow or answer is None else 10
        using = sender()
        async with receiver() as warm_up:
            await using.send(request(warm_up.url))
        assert (await failure(using, request(other.url, timeout))).startswith(reason)
    assert len(other.requests) == 1


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:1/", "cannot be reached: All connection attempts failed"),
        ("http://nowhere.invalid/", "cannot be reached: "),
        (f"http://{'a' * 64}.example/", "cannot be reached: "),
        ("http://xn--/", "cannot be reached: "),
        ("http://①②⑦.⓪.⓪.①/", "cannot be reached: Invalid IDNA hostname"),
    ],
)
async def test_receivers_that_are_not_there(url: str, reason: str) -> None:
    assert reason in await failure(sender(), request(url))


async def test_nothing_is_sent_to_addresses_inside() -> None:
    async with receiver() as other:
        port = other.url.split(":")[2].split("/")[0]
        # the name was public when the hook was made, and is not any more
        rebound = Names(receiver_test=["127.0.0.1", "::1"])
        message = await failure(sender(AddressRules(), rebound), request(f"http://receiver.test:{port}/"))
        assert message.startswith("The hook's receiver receiver.test has an address of this machine")
        assert "127.0.0.1" not in message, "nobody learns what a name means inside"
        for host in ("127.0.0.1", "127.1", "[::ffff:127.0.0.1]", "0x7f000001"):
            assert "has an address of this machine" in await failure(
                sender(AddressRules()), request(f"http://{host}:{port}/")
            )
        assert other.now == len(other.requests) == 0
        hosts, networks = parse_allowed(["receiver.test"])
        await sender(AddressRules(hosts=hosts, networks=networks), rebound).send(
            request(f"http://receiver.test:{port}/x")
        )
    ((head, _),) = other.requests
    assert head.startswith("post /x http/1.1")
    assert f"host: receiver.test:{port}\r\n" in head


async def test_only_allowed_addresses_of_a_name_are_tried_one_after_the_other() -> None:
    _, networks = parse_allowed(["127.0.0.0/16"])
    async with receiver() as other:
        names = Names(receiver_test=["::1", "127.0.0.9", "127.0.0.1"])
        url = other.url.replace("127.0.0.1", "receiver.test")
        await sender(AddressRules(networks=networks), names).send(request(url))
    assert len(other.requests) == 1


async def test_credentials_and_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1/")
    async with receiver() as other:
        await sender().send(request(other.url.replace("//", "//me:pw@")))
        await sender().send(replace(request(other.url), basic_auth=("you", "pw")))
    assert ["authorization: basic" in head for head, _ in other.requests] == [True, True]


async def test_certificates_are_checked_for_the_name_of_the_hook() -> None:
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    served.load_cert_chain(TLS / "receiver.pem", TLS / "receiver.key")
    names = Names(receiver_test=["127.0.0.1"], other_test=["127.0.0.1"])
    using = sender(lookups=names)
    async with receiver(ssl=served) as other:
        port = other.url.split(":")[2]
        assert "CERTIFICATE_VERIFY_FAILED" in await failure(using, request(f"https://receiver.test:{port}"))
        trusting = sender(lookups=names)
        context = ssl.create_default_context(cafile=TLS / "receiver.pem")
        trusting._tls = asyncio.ensure_future(asyncio.sleep(0, context))
        await trusting.send(request(f"https://receiver.test:{port}"))
        assert "Hostname mismatch" in await failure(trusting, request(f"https://other.test:{port}"))
    assert len(other.requests) == 1


async def test_a_name_that_is_never_answered_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    release = threading.Event()
    real: Callable[..., Any] = socket.getaddrinfo

    def getaddrinfo(host: str, *arguments: Any, **members: Any) -> Any:
        asked.append(host)
        if host == "hanging.test":
            release.wait(30)
            raise OSError("never mind")
        return real(host, *arguments, **members)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    using = sender()
    try:
        hanging = await asyncio.gather(
            *(using.send(request("http://hanging.test/", 0.3)) for _ in range(20)), return_exceptions=True
        )
        assert {str(error) for error in hanging} == {"The hook's receiver did not answer within 0.3 seconds."}
        assert asked == ["hanging.test"], "one thread, however many wait"
        async with receiver() as other:
            await using.send(request(other.url.replace("127.0.0.1", "localhost")))
            assert json.loads(other.bodies[0]) == {"event": {}}
    finally:
        release.set()
