"""The health server of an agent, over a real socket."""

import asyncio

import pytest

from flowstead_agent.errors import AgentError
from flowstead_agent.health import parsed_address, serve_health


async def exchange(port, request):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    await writer.wait_closed()
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.split(b"\r\n")[0], body


async def test_health_poke_and_everything_else():
    pokes = []
    async with serve_health("127.0.0.1", 0, lambda: pokes.append(1)) as port:
        get = b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n"
        assert await exchange(port, get % b"/api/health") == (b"HTTP/1.1 200 OK", b"{}")
        assert not pokes
        assert await exchange(port, get % b"/api/poke") == (b"HTTP/1.1 200 OK", b"")
        assert pokes == [1]
        assert (await exchange(port, get % b"/elsewhere"))[0] == b"HTTP/1.1 404 Not Found"
        assert (await exchange(port, b"nonsense\r\n\r\n"))[0] == b"HTTP/1.1 400 Bad Request"


@pytest.mark.parametrize(
    ("address", "expected"),
    [("http://:8080", ("", 8080)), ("http://127.0.0.1:8080", ("127.0.0.1", 8080)), ("localhost:1", ("localhost", 1))],
)
def test_addresses(address, expected):
    assert parsed_address(address) == expected


@pytest.mark.parametrize("address", ["http://localhost", "localhost", "http://localhost:no"])
def test_an_address_needs_a_port(address):
    with pytest.raises(AgentError, match="address"):
        parsed_address(address)


async def test_a_port_that_is_taken_is_one_sentence():
    async with serve_health("127.0.0.1", 0, lambda: None) as port:
        with pytest.raises(AgentError, match=f"cannot listen on 127.0.0.1, port {port}"):
            async with serve_health("127.0.0.1", port, lambda: None):
                pass
