"""Billing's work off the request: each task is safe to run twice and takes nothing but plain values."""

from uuid import UUID

from celery import shared_task
from django.utils import timezone

from billing import (
    audit_runs,
    auto_top_up,
    credit_notes,
    event_handlers,
    ledger,
    purchases,
    receipts,
    refunds,
    spending_cap,
)


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
def issue_missing_papers() -> None:
    """Write the receipts and credit notes that a fault left out when the money moved."""
    receipts.issue_missing()
    credit_notes.issue_missing()


@shared_task  # type: ignore[untyped-decorator]
def expire_granted_credits() -> None:
    """Write off the granted credits whose time is up."""
    ledger.expire_granted_credits(timezone.now())


@shared_task  # type: ignore[untyped-decorator]
def audit_books() -> None:
    """Recompute the books, so that a row that does not agree is logged within a day."""
    audit_runs.ask_for_audit("")


@shared_task  # type: ignore[untyped-decorator]
def consider_top_up(organisation_id: str, needed_micro: int = 0) -> None:
    auto_top_up.consider(UUID(organisation_id), needed_micro=needed_micro)


@shared_task  # type: ignore[untyped-decorator]
def record_cap_reached(organisation_id: str) -> None:
    spending_cap.record_reached(UUID(organisation_id))


@shared_task  # type: ignore[untyped-decorator]
def sweep_top_ups() -> None:
    auto_top_up.consider_everyone(timezone.now())
