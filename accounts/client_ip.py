"""Which address a request came from: the socket's, unless a proxy we trust says otherwise."""

import ipaddress
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Protocol

from django.conf import settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# What stands for a peer without an address (a unix socket): all such callers share one limit.
UNKNOWN = "0.0.0.0"
# A chain of proxies is short; a longer header is somebody's invention.
_MOST_HOPS = 20
_LONGEST_HEADER = 2000


class HasMeta(Protocol):
    @property
    def META(self) -> Mapping[str, Any]: ...


def client_ip_of(request: HasMeta) -> str:
    """Return the caller's address as text that `ipaddress` reads; UNKNOWN when there is none.

    `X-Forwarded-For` is read from the right, and only while each hop is one of settings.TRUSTED_PROXIES: what stands
    left of the first hop we do not trust was written by the caller.
    """
    peer = _address(str(request.META.get("REMOTE_ADDR") or ""))
    if peer is None:
        return UNKNOWN
    trusted = _networks(tuple(settings.TRUSTED_PROXIES))
    client = peer
    for hop in _hops(str(request.META.get("HTTP_X_FORWARDED_FOR") or "")):
        # Garbage ends the chain: the last hop that could be read is the best that is known.
        if not _is_in(client, trusted) or hop is None:
            break
        client = hop
    return str(client)


# Any of these says that somebody else is behind the peer, whether or not it is believed who.
_PROXY_HEADERS = (
    "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PROTO", "HTTP_X_REAL_IP", "HTTP_FORWARDED",
    "HTTP_VIA",
)  # fmt: skip


def is_loopback(request: HasMeta) -> bool:
    """Say whether the request came from this machine and through no proxy at all."""
    peer = _address(str(request.META.get("REMOTE_ADDR") or ""))
    return peer is not None and peer.is_loopback and not any(request.META.get(name) for name in _PROXY_HEADERS)


def _hops(header: str) -> Iterator[Address | None]:
    for part in header[-_LONGEST_HEADER:].split(",")[: -_MOST_HOPS - 1 : -1]:
        yield _address(part)


def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(_without_port(text.strip()).partition("%")[0])
    except ValueError:
        return None
    # One person on a dual-stack socket is one person: ::ffff:203.0.113.7 is 203.0.113.7.
    return getattr(address, "ipv4_mapped", None) or address


def _without_port(text: str) -> str:
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def _is_in(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks if network.version == address.version)


@lru_cache(maxsize=8)
def _networks(words: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(word, strict=False) for word in words)
