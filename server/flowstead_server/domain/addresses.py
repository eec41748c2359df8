"""Which addresses the server may call for its users. Whoever may create a hook must not reach the inside of a network.

What counts is the address that a name turns out to have, at the moment of the connection: a name can change its mind.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Notations of an IPv4 address in the last 32 bits: NAT64, of networks that translate, and two that are out of use.
_WRAPPED_IPV4: Final = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "::ffff:0:0:0/96", "::/96")))
# Inside by their purpose, but public for one Python or another: for protocols, translation, sites, segment routing.
_SPECIAL: Final = tuple(
    map(ipaddress.ip_network, ("192.0.0.0/24", "64:ff9b:1::/48", "fec0::/10", "5f00::/16", "3fff::/20"))
)
# Public by their number, but inside by what answers there: Azure's metadata.
_INSIDE: Final = frozenset({ipaddress.ip_address("168.63.129.16")})


@dataclass(frozen=True, slots=True)
class AddressRules:
    """What may be called besides public addresses: all, these hosts (with a leading dot: all below), these networks."""

    allow_private: bool = False
    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    def allow(self, host: str, address: str) -> bool:
        """Say whether an address (numeric) that a host has may be called."""
        if self.allow_private or self.names(host):
            return True
        try:
            number = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        return is_public(number) or any(number in network for network in self.networks)

    def names(self, host: str) -> bool:
        """Say whether a host is allowed whatever its address."""
        host = host.lower().rstrip(".")
        return any(host.endswith(name) if name.startswith(".") else host == name for name in self.hosts)


def is_public(address: Address) -> bool:
    """Say whether an address belongs to the internet at large: not private, loopback, link-local or special."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if inner is None and any(address in network for network in _WRAPPED_IPV4):
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(inner)
    if address in _INSIDE or any(address in network for network in _SPECIAL):
        return False
    return address.is_global and not address.is_multicast


def literal_address(host: str) -> str | None:
    """Return the address that a host is written as, in any of the notations that systems take; null if it is a name."""
    try:
        return str(ipaddress.ip_address(host.strip("[]").partition("%")[0]))
    except ValueError:
        pass
    try:
        # systems also take 127.1, 0x7f000001 and 2130706433
        return socket.inet_ntoa(socket.inet_aton(host)) if host.isascii() else None
    except OSError:
        return None


def is_refused_literal(rules: AddressRules, host: str) -> bool:
    """Say whether a host can be refused without asking for its address."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return not rules.allow(host, "127.0.0.1")
    address = literal_address(host)
    return address is not None and not rules.allow(host, address)


def parse_allowed(parts: Iterable[str]) -> tuple[frozenset[str], tuple[Network, ...]]:
    """Split what is allowed into hosts and networks. Raises ValueError with the part that is neither."""
    hosts: set[str] = set()
    networks: list[Network] = []
    for part in filter(None, (part.strip().lower() for part in parts)):
        try:
            networks.append(ipaddress.ip_network(part, strict=False))
        except ValueError:
            if not part.strip(".") or any(not (char.isalnum() or char in "-._") for char in part):
                raise ValueError(part) from None
            hosts.add(part.rstrip("."))
    return frozenset(hosts), tuple(networks)
