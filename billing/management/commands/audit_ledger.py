"""Check that every wallet agrees with its entries, lots, holds and captures; exit 1 and name the rows that do not."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing.audit import audit_ledger


class Command(BaseCommand):
    help = __doc__ or ""

    def handle(self, *args: Any, **options: Any) -> None:
        count = 0
        for finding in audit_ledger():
            count += 1
            self.stdout.write(f"{finding.row}: {finding.problem}")
        if count:
            raise CommandError(f"The ledger does not add up: {count} {'row' if count == 1 else 'rows'}.")
        self.stdout.write("The ledger adds up.")
