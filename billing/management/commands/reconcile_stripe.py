"""`manage.py reconcile_stripe [--days 7] [--apply]`: compare purchases with Stripe; exits 1 if they differ."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from billing.exceptions import PaymentError
from billing.reconciliation import reconcile

MAX_DAYS = 365


class Command(BaseCommand):
    help = "Compare purchases, refunds and disputes with what Stripe holds; --apply mends what can be mended."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days", type=int, default=7, help="how far to look back (default 7)")
        parser.add_argument("--apply", action="store_true", help="apply what Stripe holds, as its events would have")

    def handle(self, *args: Any, days: int, apply: bool, **options: Any) -> None:
        if not 1 <= days <= MAX_DAYS:
            raise CommandError(f"--days is between 1 and {MAX_DAYS}.")
        count = 0
        try:
            for found in reconcile(timezone.now() - timedelta(days=days), apply=apply):
                count += 1
                self.stdout.write(f"{found.row}: {found.problem}")
        except PaymentError as error:
            raise CommandError(f"Stripe could not be asked: {type(error).__name__} {error.args or ''}") from None
        if count:
            raise CommandError(f"Stripe and the purchases differ: {count} {'row' if count == 1 else 'rows'}.")
        self.stdout.write("Stripe and the purchases agree.")
