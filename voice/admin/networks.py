"""Blocking the network a caller came from."""

from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network

from django import forms
from django.utils import timezone

from voice.admission.networks import network_of


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


def includes(network: str, address: str) -> bool:
    return ip_address(address) in ip_network(network)
