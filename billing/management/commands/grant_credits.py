"""Give an organisation credits by hand: grant_credits ORGANISATION AMOUNT --reason TEXT."""

import uuid
from argparse import ArgumentParser
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.management.find_organisation import find_organisation
from billing import ledger
from billing.exceptions import AmountOutOfRange, InvalidText, KeyReused
from billing.formatting import format_exact_credits, micro_of
from billing.sign_up_grants import expiry_of_grants

ACTOR = "grant_credits"
MAX_DAYS = 36_500


class Command(BaseCommand):
    help = "Gives an organisation credits. Repeating it gives them again, unless the --key is the same."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("organisation", help="The organisation's slug, name or id.")
        parser.add_argument("amount", help="In credits: 12.5.")
        parser.add_argument("--reason", required=True, help="The customer can read this in the wallet's history.")
        parser.add_argument("--days", type=int, help="How long they last, 0: for ever. As GRANTED_CREDITS_LAST_DAYS.")
        parser.add_argument("--key", default="", help="Makes a repeat harmless: one grant a key, for ever.")
        parser.add_argument("--by", default=ACTOR, help="Who gives them.")

    def handle(self, *args: Any, **options: Any) -> None:
        organisation = find_organisation(options["organisation"])
        ledger.open_wallet(organisation.pk)
        now = timezone.now()
        days = options["days"]
        if days is not None and not 0 <= days <= MAX_DAYS:
            raise CommandError(f"--days is from 0 to {MAX_DAYS}.")
        try:
            entry = ledger.grant(
                organisation.pk,
                read_amount(options["amount"]),
                key=f"grant:{options['key'] or uuid.uuid4()}",
                description=options["reason"],
                expires_at=expiry_of_grants(now) if days is None else now + timedelta(days=days) if days else None,
                actor=options["by"],
            )
        except AmountOutOfRange:
            raise CommandError("An amount is more than nothing and at most a billion credits.") from None
        except InvalidText as error:
            raise CommandError(f"The {error.field} must be one printable line that is not too long.") from None
        except KeyReused:
            raise CommandError("This --key was used for another grant.") from None
        given, balance = format_exact_credits(entry.amount_micro), format_exact_credits(entry.balance_after_micro)
        self.stdout.write(f"Granted {given} credits to {organisation.name}. The balance became {balance}.")


def read_amount(text: str) -> int:
    """Return the micro-credits of `12.5`. Raises CommandError."""
    try:
        return micro_of(Decimal(text))
    except (ArithmeticError, ValueError):
        raise CommandError(f"{text!r} is no number of credits with at most six decimals.") from None
