"""Billing's work off the request: each task is safe to run twice and takes nothing but plain values."""

from celery import shared_task
from django.utils import timezone

from billing import event_handlers, ledger, purchases, refunds


@shared_task  # type: ignore[untyped-decorator]
def handle_stripe_event(event_id: str) -> None:
    """Act upon one stored event."""
    event_handlers.handle(event_id)


@shared_task  # type: ignore[untyped-decorator]
def sweep_stripe_events() -> None:
    """Act upon the events that a dead broker or worker dropped, or that failed."""
    event_handlers.sweep(timezone.now())


@shared_task  # type: ignore[untyped-decorator]
def sweep_purchases() -> None:
    """Ask Stripe about purchases that nobody told us the end of, and send refunds that were not sent."""
    now = timezone.now()
    purchases.sweep_purchases(now)
    refunds.send_requested_refunds(now)


@shared_task  # type: ignore[untyped-decorator]
def expire_granted_credits() -> None:
    """Write off the granted credits whose time is up."""
    ledger.expire_granted_credits(timezone.now())
