"""manage.py create_api_key --organisation SLUG --name NAME: print a new key, once, alone on its line."""

from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts.api_keys import create_key
from accounts.exceptions import InvalidKeySetting
from accounts.management.find_organisation import find_organisation
from accounts.models import Scope

_MICRO = 1_000_000


class Command(BaseCommand):
    help = "Makes an API key and prints it. It is stored nowhere and cannot be shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--organisation", required=True, help="Its slug, name or id.")
        parser.add_argument("--name", required=True, help="What the key is for.")
        parser.add_argument("--scope", action="append", choices=Scope.values, help="Repeatable. Default: every scope.")
        parser.add_argument(
            "--model", action="append", default=[], help="A model it may use; repeatable. Default: all."
        )
        parser.add_argument("--monthly-credits", help="The most it may spend in a month.")
        parser.add_argument("--requests-per-minute", type=int)
        parser.add_argument("--concurrent-calls", type=int)
        parser.add_argument("--days", type=int, help="How long it is good for. Default: until it is revoked.")

    def handle(self, *args: Any, **options: Any) -> None:
        organisation = find_organisation(options["organisation"])
        days = options["days"]
        if days is not None and not 1 <= days <= 36_500:
            raise CommandError("--days is from 1 to 36500.")
        try:
            _, text = create_key(
                organisation,
                name=options["name"],
                scopes=options["scope"] or Scope.values,
                allowed_models=options["model"],
                monthly_budget_micro=_micro_of(options["monthly_credits"]),
                requests_per_minute=options["requests_per_minute"],
                concurrent_calls=options["concurrent_calls"],
                expires_at=timezone.now() + timedelta(days=days) if days else None,
            )
        except InvalidKeySetting as error:
            raise CommandError(f"{error.field}: {error.message}") from None
        # Nothing else on stdout, so that a script can take the key from it; the advice is for people.
        self.stderr.write("Keep this key safe: it is shown only now.")
        self.stdout.write(text)


def _micro_of(credits: str | None) -> int | None:
    if credits is None:
        return None
    try:
        amount = Decimal(credits) * _MICRO
        return int(amount) if amount == int(amount) else _not_an_amount()
    except (InvalidOperation, OverflowError, ValueError):
        return _not_an_amount()


def _not_an_amount() -> int:
    raise CommandError("--monthly-credits is a number of credits, with at most six decimals.")
