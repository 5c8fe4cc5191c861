"""Blocking the network a caller came from."""

from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Any

from django import forms
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from voice.admission.networks import network_of
from voice.models import BlockedNetwork

# Anything larger is half a country: that is what pausing all calls is for.
_LARGEST_PREFIX = {4: 8, 6: 16}


class BlockForm(forms.Form):
    reason = forms.CharField(max_length=200, help_text="For other operators; callers never see it.")
    expires = forms.TypedChoiceField(
        label="For how long",
        choices=[("1", "A day"), ("7", "A week"), ("30", "A month"), ("0", "Until an operator lifts it")],
        initial="7",
        coerce=int,
    )

    def expires_at(self) -> datetime | None:
        days: int = self.cleaned_data["expires"]
        return timezone.now() + timedelta(days=days) if days else None


def network_to_block(client_ip: str) -> str:
    """Return what counts as one caller, as a network: the IPv4 address itself, or the IPv6 /64."""
    return str(ip_network(network_of(client_ip)))


def is_too_large(network: str) -> bool:
    parsed = ip_network(network)
    return parsed.prefixlen < _LARGEST_PREFIX[parsed.version]


def includes(network: str, address: str) -> bool:
    return ip_address(address) in ip_network(network)


def block(network: str, *, reason: str, expires_at: datetime | None, actor: Any) -> BlockedNetwork:
    """Keep a network out, from now until `expires_at` (None: for good); its live calls end. A repeat renews it."""
    created_by = actor if isinstance(actor, User) else None
    with transaction.atomic():
        blocked, _ = BlockedNetwork.objects.update_or_create(
            network=network, defaults={"reason": reason, "expires_at": expires_at, "created_by": created_by}
        )
    return blocked
