"""Which addresses may be dialled: public ones, whatever notation or embedding they come in."""

import asyncio
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from voice.outgoing.errors import Refused

Address = IPv4Address | IPv6Address

# What some releases of Python's is_global lets through, and one cloud's own services at a public address.
_REFUSED = [
    ip_network(network)
    for network in (
        "192.0.0.0/24",
        "192.88.99.0/24",
        "168.63.129.16/32",
        "::/8",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",
        "3fff::/20",
        "5f00::/16",
        "fec0::/10",
    )
]
_NAT64 = ip_network("64:ff9b::/96")
# A name server that keeps silent holds a thread for as long as the resolver waits for it.
_RESOLVING_AT_ONCE = 16


def is_public(address: Address) -> bool:
    """Say whether it is an address of the public Internet, also inside: IPv4 embedded in IPv6 is judged as IPv4."""
    if isinstance(address, IPv6Address):
        if inner := _embedded(address):
            return is_public(inner)
        if address.scope_id:
            return False
    if address.is_multicast or address.is_reserved or address.is_unspecified or not address.is_global:
        return False
    return not any(address in network for network in _REFUSED if network.version == address.version)


def is_loopback(address: Address) -> bool:
    inner = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (inner or address).is_loopback


def _embedded(address: IPv6Address) -> IPv4Address | None:
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


async def resolve(host: str, port: int) -> list[Address]:
    """Ask the system's resolver; raise Refused("unreachable"). IPv4 first: a broken IPv6 route is the usual fault."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.run_in_executor(
            _threads(os.getpid()), lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
    except (OSError, UnicodeError):
        raise Refused("unreachable") from None
    addresses = dict.fromkeys(ip_address(entry[4][0]) for entry in found)
    return sorted(addresses, key=lambda address: address.version)


@lru_cache(maxsize=1)
def _threads(process_id: int) -> ThreadPoolExecutor:
    # One a process: threads do not survive the fork of a worker.
    return ThreadPoolExecutor(_RESOLVING_AT_ONCE, thread_name_prefix="resolve")
