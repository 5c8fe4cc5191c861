"""manage.py block_network NETWORK --reason TEXT: keep an address or network out, and end its live calls."""

import ipaddress
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from voice.admission.networks import block, is_too_large
from voice.management.one_line import one_line

_MOST_DAYS = 3650


class Command(BaseCommand):
    help = "Blocks an address or network. A repeat renews it; the admin lifts it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("network", help="203.0.113.7, 203.0.113.0/24, 2001:db8::/48")
        parser.add_argument("--reason", required=True, help="For other operators; callers never see it.")
        parser.add_argument("--days", type=int, default=7, help="For how long; 0: until it is lifted. Default: 7")

    def handle(self, *args: Any, network: str, reason: str, days: int, **options: Any) -> None:
        try:
            parsed = str(ipaddress.ip_network(network.strip(), strict=False))
        except ValueError:
            raise CommandError(f"{network} is no address or network.") from None
        if is_too_large(parsed):
            raise CommandError("That is half a country. Block what the callers share, or pause_calls.")
        reason = one_line("--reason", reason)
        if not reason:
            raise CommandError("--reason says why, for other operators.")
        if not 0 <= days <= _MOST_DAYS:
            raise CommandError(f"--days is from 0 to {_MOST_DAYS}.")
        expires_at = timezone.now() + timedelta(days=days) if days else None
        block(parsed, reason=reason, expires_at=expires_at, actor=None)
        self.stdout.write(f"{parsed} is kept out{f' until {expires_at:%Y-%m-%d %H:%M} UTC' if expires_at else ''}.")
