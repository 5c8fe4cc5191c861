"""Stripe's events: stored when they arrive, acted upon from the row, once, in whatever order they come.

An event only says which object to look at. The object is fetched as it is now, and what it means for the wallet is
written in one transaction with the event's being handled: a process that dies in between has done nothing or all.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import structlog
from django.core.cache import cache
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from billing import purchases, refunds
from billing.exceptions import ObjectRefused
from billing.models import RefusedDelivery, StripeEvent, StripeEventState
from billing.stripe import checkout as checkouts
from billing.stripe import payments
from billing.stripe.webhook import StripeNotice, fetch_notice

UNFINISHED = (StripeEventState.RECEIVED, StripeEventState.FAILED)
# The sweep leaves a new event to its own task for so long, and one that failed for twice as long each time.
FIRST_BACKOFF = timedelta(seconds=30)
LONGEST_BACKOFF = timedelta(hours=6)
# About three days, as long as Stripe itself keeps trying to deliver.
MAX_ATTEMPTS = 20
MAX_EVENTS_A_SWEEP = 100
# What an event says of a buyer is of no use once it was acted upon; the ids stay.
PAYLOAD_KEPT = timedelta(days=90)
REFUSALS_COUNTED_EVERY_S = 5

log = structlog.get_logger(__name__)

Apply = Callable[[], object]


def store(notice: StripeNotice) -> bool:
    """Keep an event, once; say whether it was new. It is then in the database whatever happens next."""
    now = timezone.now()
    _, is_new = StripeEvent.objects.get_or_create(
        event_id=notice.event_id,
        defaults={
            "type": notice.type,
            "object_id": notice.object_id,
            "payload": notice.payload,
            "received_at": now,
            "next_attempt_at": now + FIRST_BACKOFF,
        },
    )
    return is_new


def handle(event_id: str) -> None:
    """Act upon a stored event unless that was done. What goes wrong is written on the row; nothing is raised."""
    event = _begin(event_id)
    if event is None:
        return
    try:
        _act(event)
    except ObjectRefused as error:
        purchases.note_refusal(error)
        _end(event, StripeEventState.REFUSED, error.reason)
    except Exception as error:  # A task's edge: whatever it was, the row says so and the sweep tries again.
        log.warning("stripe_event_failed", event_id=event.event_id, error=type(error).__name__)
        _end(event, StripeEventState.FAILED, _words_of(error))


def replay(event_id: str) -> StripeEvent:
    """Act upon an event again, as if it had just come; one that never came is fetched from Stripe.

    Repeating is harmless: the ledger's keys belong to the purchase and its refunds, not to the event. Raises
    ObjectRefused, WebhookRefused, PaymentServiceUnavailable, PaymentServiceRefused, PaymentsOff.
    """
    if not StripeEvent.objects.filter(event_id=event_id).exists():
        store(fetch_notice(event_id))
    StripeEvent.objects.filter(event_id=event_id).update(
        state=StripeEventState.RECEIVED, attempts=0, error="", handled_at=None, next_attempt_at=timezone.now()
    )
    handle(event_id)
    return StripeEvent.objects.get(event_id=event_id)


def sweep(now: datetime) -> int:
    """Act upon the events whose task died, was lost or failed, oldest first, and say how many; forget old payloads."""
    due = StripeEvent.objects.filter(state__in=UNFINISHED, next_attempt_at__lte=now).order_by("received_at")
    event_ids = list(due.values_list("event_id", flat=True)[:MAX_EVENTS_A_SWEEP])
    for event_id in event_ids:
        handle(event_id)
    finished = StripeEvent.objects.exclude(state__in=UNFINISHED)
    finished.filter(received_at__lt=now - PAYLOAD_KEPT).exclude(payload={}).update(payload={})
    return len(event_ids)


def count_refusal(reason: str) -> None:
    """Let the operator see that deliveries are turned away, without letting their sender fill the disk."""
    log.warning("stripe_delivery_refused", reason=reason)
    if not cache.add(f"stripe_delivery_refused:{reason}", True, timeout=REFUSALS_COUNTED_EVERY_S):
        return
    row, is_new = RefusedDelivery.objects.get_or_create(day=timezone.localdate(), reason=reason)
    if not is_new:
        RefusedDelivery.objects.filter(pk=row.pk).update(count=F("count") + 1, last_at=timezone.now())


def _begin(event_id: str) -> StripeEvent | None:
    """Count the attempt before it is made, so that an event that kills its worker is not tried for ever."""
    with transaction.atomic():
        event = StripeEvent.objects.select_for_update().filter(event_id=event_id, state__in=UNFINISHED).first()
        if event is None:
            return None
        backoff = min(FIRST_BACKOFF * 2 ** min(event.attempts, MAX_ATTEMPTS), LONGEST_BACKOFF)
        event.attempts += 1
        event.next_attempt_at = timezone.now() + backoff if event.attempts < MAX_ATTEMPTS else None
        event.save(update_fields=["attempts", "next_attempt_at"])
        return event


def _act(event: StripeEvent) -> None:
    prepare = _PREPARE.get(event.type)
    if prepare is None:
        _end(event, StripeEventState.IGNORED)
        return
    # Stripe is asked outside the transaction: no lock is held while we wait for it.
    apply = prepare(event.object_id)
    with transaction.atomic():
        if _still_unfinished(event):
            apply()
            _finish(event, StripeEventState.HANDLED)


def _still_unfinished(event: StripeEvent) -> bool:
    """Lock the row, and look again: another worker may have had the same event in the meantime."""
    return StripeEvent.objects.select_for_update().filter(pk=event.pk, state__in=UNFINISHED).exists()


def _end(event: StripeEvent, state: StripeEventState, error: str = "") -> None:
    with transaction.atomic():
        if _still_unfinished(event):
            _finish(event, state, error)


def _finish(event: StripeEvent, state: StripeEventState, error: str = "") -> None:
    event.state, event.error = state, error
    event.handled_at = timezone.now() if state == StripeEventState.HANDLED else None
    if state not in UNFINISHED:
        event.next_attempt_at = None
    event.save(update_fields=["state", "error", "handled_at", "next_attempt_at"])


def _checkout(object_id: str) -> Apply:
    """The buyer finished or left the page, or a slow method of payment said yes or no: credit, or close."""
    return partial(purchases.settle_checkout, checkouts.fetch_checkout(object_id))


def _payment(object_id: str) -> Apply:
    """A charge went through or was declined: an automatic top-up's, or the one behind a checkout."""
    return purchases.settlement_of(payments.fetch_payment(object_id))


def _refund(object_id: str) -> Apply:
    """Money goes back, from here or from Stripe's dashboard, or failed to: the credits follow it."""
    refund = payments.fetch_refund(object_id)
    purchase = purchases.credited_purchase_of(refund.payment_id)
    return partial(refunds.settle_refund, purchase.id, refund)


def _dispute(object_id: str) -> Apply:
    """A bank takes the money, gives it back, or has decided: the credits follow it."""
    dispute = payments.fetch_dispute(object_id)
    purchase = purchases.credited_purchase_of(dispute.payment_id)
    return partial(refunds.settle_dispute, purchase.id, dispute)


_PREPARE: dict[str, Callable[[str], Apply]] = {
    "checkout.session.completed": _checkout,
    "checkout.session.async_payment_succeeded": _checkout,
    "checkout.session.async_payment_failed": _checkout,
    "checkout.session.expired": _checkout,
    "payment_intent.succeeded": _payment,
    "payment_intent.payment_failed": _payment,
    "payment_intent.canceled": _payment,
    "refund.created": _refund,
    "refund.updated": _refund,
    "refund.failed": _refund,
    "charge.dispute.created": _dispute,
    "charge.dispute.updated": _dispute,
    "charge.dispute.funds_withdrawn": _dispute,
    "charge.dispute.funds_reinstated": _dispute,
    "charge.dispute.closed": _dispute,
}


def _words_of(error: Exception) -> str:
    return f"{type(error).__name__} {getattr(error, 'code', '')}".strip()[:200]
