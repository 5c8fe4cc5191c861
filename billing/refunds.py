"""Money that goes back: refunds and disputes take the purchase's credits with them, and bring them back if they fail.

As with payments, what Stripe's object is now is applied under the purchase's lock, and only ever onwards. The money has
left already, so the wallet may go below zero. Granted credits are nobody's money and are never refunded.
"""

from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID, uuid4

import structlog
from django.db import transaction
from django.db.models import Sum

from billing import ledger
from billing.exceptions import (
    LedgerError,
    NotRefundable,
    ObjectRefused,
    PaymentError,
    PaymentServiceRefused,
)
from billing.models import Dispute, DisputeStatus, Purchase, PurchaseStatus, Refund, RefundStatus
from billing.models.purchase import DISPUTE_TAKEN, REFUND_TAKEN
from billing.signals import announce, dispute_lost, refund_succeeded
from billing.stripe import payments
from billing.stripe.payments import StripeDispute, StripeRefund

# A refund asked for here whose sender died is sent again after this.
RESEND_AFTER = timedelta(minutes=2)
MAX_SENT_A_SWEEP = 50

_REFUND_STATUS = {
    "pending": RefundStatus.PENDING,
    "requires_action": RefundStatus.PENDING,
    "succeeded": RefundStatus.SUCCEEDED,
    "failed": RefundStatus.FAILED,
    "canceled": RefundStatus.FAILED,
}
_REFUND_ORDER = list(RefundStatus)
_DISPUTE_STATUS = {
    "warning_needs_response": DisputeStatus.INQUIRY,
    "warning_under_review": DisputeStatus.INQUIRY,
    "warning_closed": DisputeStatus.WON,
    "prevented": DisputeStatus.WON,
    "needs_response": DisputeStatus.OPEN,
    "under_review": DisputeStatus.OPEN,
    "lost": DisputeStatus.LOST,
    "won": DisputeStatus.WON,
}
# A dispute that was lost can still be won on appeal; what was won stays won, and a new one would have a new id.
_DISPUTE_ORDER = list(DisputeStatus)

Kind = Literal["refund", "dispute"]

log = structlog.get_logger(__name__)


def refund(purchase: Purchase, amount_minor: int, *, reason: str, actor: str, key: UUID | None = None) -> Refund:
    """Give `amount_minor` of what was charged back to the card, and take its credits from the wallet.

    Once a `key`: a repeat returns the first refund. Raises NotRefundable; PaymentServiceRefused and ObjectRefused when
    Stripe will not (the row says why); PaymentServiceUnavailable: the sweep will send it.
    """
    refund_id = key or uuid4()
    with transaction.atomic():
        purchase = _lock(purchase.pk)
        made = Refund.objects.filter(pk=refund_id, purchase=purchase, amount_minor=amount_minor).first()
        if made is None:
            _check_refundable(purchase, amount_minor)
            made = Refund.objects.create(
                id=refund_id,
                purchase=purchase,
                amount_minor=amount_minor,
                credits_micro=purchase.share_micro(amount_minor),
                reason=reason,
                actor=actor,
            )
    return send(made) if made.status == RefundStatus.REQUESTED else made


def refundable_minor(purchase: Purchase) -> int:
    """What of the purchase can still be refunded; a refund that was asked for counts as made."""
    if not purchase.is_credited or not purchase.stripe_payment_intent_id:
        return 0
    made = purchase.refunds.exclude(status=RefundStatus.FAILED).aggregate(total=Sum("amount_minor"))["total"] or 0
    return max(0, purchase.amount_minor - made)


def send(row: Refund, *, is_repeat: bool = False) -> Refund:
    """Ask Stripe for a refund that was written down, once, and apply the answer. Raises as `refund` does."""
    purchase = row.purchase
    payment_id = purchase.stripe_payment_intent_id
    try:
        # Stripe forgets idempotency keys after a day, so a repeat looks first.
        found = payments.find_refund(payment_id=payment_id, refund_id=row.id) if is_repeat else None
        made = found or payments.create_refund(
            refund_id=row.id, purchase_id=purchase.id, payment_id=payment_id, amount_minor=row.amount_minor
        )
    except (PaymentServiceRefused, ObjectRefused) as error:
        code = error.reason if isinstance(error, ObjectRefused) else error.code
        Refund.objects.filter(pk=row.pk, status=RefundStatus.REQUESTED).update(status=RefundStatus.FAILED, failure=code)
        raise
    return settle_refund(purchase.id, made)


def send_requested_refunds(now: datetime) -> int:
    """Send the refunds whose sender died or found Stripe away, and say how many were tried."""
    due = Refund.objects.filter(status=RefundStatus.REQUESTED, created_at__lte=now - RESEND_AFTER)
    tried = 0
    for row in due.select_related("purchase").order_by("created_at")[:MAX_SENT_A_SWEEP]:
        tried += 1
        try:
            send(row, is_repeat=True)
        except (PaymentError, LedgerError) as error:
            log.warning("refund_not_sent", refund_id=str(row.id), error=type(error).__name__)
    return tried


def settle_refund(purchase_id: UUID, refund: StripeRefund) -> Refund:
    """Apply a refund, fetched just now, to its credited purchase. Raises ObjectRefused, LedgerError."""
    status = refund_status(refund)
    with transaction.atomic():
        purchase = _lock(purchase_id)
        if status is None or not refund.amount_minor or not purchase.is_credited:
            raise ObjectRefused("malformed", purchase.id)
        if refund.currency != purchase.currency:
            raise ObjectRefused("wrong_currency", purchase.id)
        row = _row_of(purchase, refund)
        if _REFUND_ORDER.index(status) <= _REFUND_ORDER.index(RefundStatus(row.status)):
            return row
        was_taken, is_taken = row.status in REFUND_TAKEN, status in REFUND_TAKEN
        row.status, row.failure, row.stripe_refund_id = status, refund.failure, refund.id
        row.save()
        if is_taken and not was_taken:
            _take(purchase, row.credits_micro, "refund", f"stripe:re:{refund.id}")
        elif was_taken and not is_taken:
            _return(purchase, row.credits_micro, "refund", f"stripe:re:{refund.id}")
        _restate(purchase)
        if status == RefundStatus.SUCCEEDED:
            announce(refund_succeeded, refund_id=row.id)
        return row


def settle_dispute(purchase_id: UUID, dispute: StripeDispute) -> Dispute:
    """Apply a dispute, fetched just now, to its credited purchase. Raises ObjectRefused, LedgerError."""
    status = dispute_status(dispute)
    with transaction.atomic():
        purchase = _lock(purchase_id)
        if status is None or not purchase.is_credited:
            raise ObjectRefused("malformed", purchase.id)
        row = Dispute.objects.filter(stripe_dispute_id=dispute.id).first()
        if row is not None and _DISPUTE_ORDER.index(status) <= _DISPUTE_ORDER.index(DisputeStatus(row.status)):
            return row
        row = row or Dispute(stripe_dispute_id=dispute.id, purchase=purchase)
        was_taken, is_taken = row.status in DISPUTE_TAKEN, status in DISPUTE_TAKEN
        if not was_taken:
            # An inquiry may become a dispute of another amount; once it is taken, the same is what comes back.
            row.amount_minor = _at_stake_minor(purchase, dispute)
            row.credits_micro = purchase.share_micro(row.amount_minor)
        row.status, row.reason = status, dispute.reason
        row.save()
        if is_taken and not was_taken:
            _take(purchase, row.credits_micro, "dispute", f"stripe:dp:{dispute.id}")
        elif was_taken and not is_taken:
            _return(purchase, row.credits_micro, "dispute", f"stripe:dp:{dispute.id}")
        _restate(purchase)
        if status == DisputeStatus.LOST:
            announce(dispute_lost, dispute_id=row.pk)
        return row


def refund_status(refund: StripeRefund) -> RefundStatus | None:
    """Stripe's status in our words; None for one that we do not know."""
    return _REFUND_STATUS.get(refund.status)


def dispute_status(dispute: StripeDispute) -> DisputeStatus | None:
    """Stripe's status in our words; None for one that we do not know."""
    return _DISPUTE_STATUS.get(dispute.status)


def _lock(purchase_id: UUID) -> Purchase:
    return Purchase.objects.select_for_update().get(pk=purchase_id)


def _check_refundable(purchase: Purchase, amount_minor: int) -> None:
    left_minor = refundable_minor(purchase)
    if not 0 < amount_minor <= left_minor:
        raise NotRefundable(refundable_minor=left_minor)


def _row_of(purchase: Purchase, refund: StripeRefund) -> Refund:
    """Our row for Stripe's refund: the one we had, the one we asked for, or a new one for one made at Stripe."""
    row = Refund.objects.filter(stripe_refund_id=refund.id).first() or _asked_for(purchase, refund)
    if row is None:
        return Refund(
            purchase=purchase,
            stripe_refund_id=refund.id,
            amount_minor=refund.amount_minor,
            credits_micro=purchase.share_micro(refund.amount_minor),
            reason=refund.reason,
        )
    if (row.purchase_id, row.amount_minor) != (purchase.id, refund.amount_minor):
        raise ObjectRefused("wrong_amount", purchase.id)
    return row


def _asked_for(purchase: Purchase, refund: StripeRefund) -> Refund | None:
    try:
        refund_id = UUID(refund.refund_id)
    except ValueError:
        return None
    return Refund.objects.filter(pk=refund_id, purchase=purchase, stripe_refund_id=None).first()


def _at_stake_minor(purchase: Purchase, dispute: StripeDispute) -> int:
    """A bank may dispute in another currency; then nothing can be compared, and all that was charged is at stake."""
    if dispute.currency != purchase.currency:
        return purchase.amount_minor
    return min(dispute.amount_minor, purchase.amount_minor)


def _take(purchase: Purchase, credits_micro: int, kind: Kind, key: str) -> None:
    """Take the credits that belong to money that left; a very small part's share may be none."""
    if credits_micro:
        ledger.claw_back(
            purchase.organisation_id,
            credits_micro,
            kind=kind,
            key=key,
            reference=purchase.reference,
            description=f"{kind.capitalize()}: {purchase.bundle_name}",
        )


def _return(purchase: Purchase, credits_micro: int, kind: Kind, key: str) -> None:
    """Return what was taken: the money stayed, or came back."""
    if credits_micro:
        ledger.give_back(
            purchase.organisation_id,
            credits_micro,
            kind=kind,
            key=f"{key}:returned",
            reference=purchase.reference,
            description=f"{kind.capitalize()} that did not stand: {purchase.bundle_name}",
        )


def _restate(purchase: Purchase) -> None:
    """Say in the locked purchase's status what its refunds and disputes came to."""
    taken = purchase.refunds.filter(status__in=REFUND_TAKEN)
    purchase.refunded_minor = taken.aggregate(total=Sum("amount_minor"))["total"] or 0
    if purchase.disputes.filter(status__in=DISPUTE_TAKEN).exists():
        purchase.status = PurchaseStatus.DISPUTED
    elif purchase.refunded_minor >= purchase.amount_minor:
        purchase.status = PurchaseStatus.REFUNDED
    else:
        purchase.status = PurchaseStatus.PARTLY_REFUNDED if purchase.refunded_minor else PurchaseStatus.PAID
    purchase.save(update_fields=["refunded_minor", "status"])
