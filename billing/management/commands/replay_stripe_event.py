"""`manage.py replay_stripe_event evt_… [evt_…]` or `--failed`: act upon Stripe's events again. Exits 1 if one fails."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.event_handlers import replay
from billing.exceptions import PaymentError, WebhookRefused
from billing.models import StripeEvent, StripeEventState


class Command(BaseCommand):
    help = "Act upon stored events again, or fetch ones that never came. Repeating credits nothing twice."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("event_ids", nargs="*", metavar="evt_…")
        parser.add_argument("--failed", action="store_true", help="all that failed, also those that were given up")

    def handle(self, *args: Any, event_ids: list[str], failed: bool, **options: Any) -> None:
        if failed:
            rows = StripeEvent.objects.filter(state=StripeEventState.FAILED).order_by("received_at")
            event_ids = [*event_ids, *rows.values_list("event_id", flat=True)]
        elif not event_ids:
            raise CommandError("Name at least one event, or --failed.")
        count_done = sum(self._replay(event_id) for event_id in event_ids)
        if count_done < len(event_ids):
            raise CommandError(f"{len(event_ids) - count_done} of {len(event_ids)} could not be acted upon.")

    def _replay(self, event_id: str) -> bool:
        try:
            event = replay(event_id)
        except (PaymentError, WebhookRefused) as error:
            self.stdout.write(f"{event_id} could not be fetched: {error.args[0] if error.args else ''}")
            return False
        self.stdout.write(f"{event_id} {event.type} {event.state} {event.error}".rstrip())
        return event.state in (StripeEventState.HANDLED, StripeEventState.IGNORED)
