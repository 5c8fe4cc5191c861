"""Callers' networks: the unit in which callers are counted, and the ones the operator keeps out."""

import ipaddress
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.models import User
from voice.models import BlockedNetwork

log = structlog.get_logger(__name__)

# What one household or phone is given; counting single IPv6 addresses would give everybody 2**64 of them.
_IPV6_PREFIX = 64
# Anything larger is half a country: that is what pausing all calls is for.
_LARGEST_PREFIX = {4: 8, 6: 16}


def network_of(address: str) -> str:
    """Return what counts as one caller: an IPv4 address, or the /64 of an IPv6 one. Raises ValueError on garbage."""
    parsed = ipaddress.ip_address(address)
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network((parsed, _IPV6_PREFIX), strict=False))


def is_too_large(network: str) -> bool:
    """Return whether this is more than anybody should block. Raises ValueError on garbage."""
    parsed = ipaddress.ip_network(network)
    return parsed.prefixlen < _LARGEST_PREFIX[parsed.version]


def block(network: str, *, reason: str, expires_at: datetime | None, actor: User | None) -> BlockedNetwork:
    """Keep a network out, from now until `expires_at` (None: for good); its live calls end. A repeat renews it."""
    with transaction.atomic():
        blocked, _ = BlockedNetwork.objects.update_or_create(
            network=network, defaults={"reason": reason, "expires_at": expires_at, "created_by": actor}
        )
    return blocked


def is_blocked(address: str) -> bool:
    """Return whether the operator keeps this address out. Raises ValueError on garbage."""
    parsed = ipaddress.ip_address(address)
    return any(_contains(row, parsed) for row in _in_force())


def blocked_among(addresses: Mapping[UUID, str]) -> set[UUID]:
    """Return which of these, by any id, have an address that the operator keeps out; "" is none."""
    if not (rows := list(_in_force())):
        return set()
    parsed = {key: ipaddress.ip_address(address) for key, address in addresses.items() if address}
    return {key for key, address in parsed.items() if any(_contains(row, address) for row in rows)}


def _in_force() -> QuerySet[BlockedNetwork]:
    return BlockedNetwork.objects.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()))


def _contains(row: BlockedNetwork, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        return address in ipaddress.ip_network(row.network, strict=False)
    except ValueError:
        log.error("blocked network cannot be read", row=row.pk)
        return False
