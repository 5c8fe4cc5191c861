"""Compare what Stripe holds with what we have, both ways, for when its events or our answers were lost for long."""

from collections.abc import Callable, Iterator
from datetime import datetime

from billing import purchases, refunds
from billing.audit import Finding, finding
from billing.exceptions import LedgerError, ObjectRefused, PaymentError
from billing.models import Dispute, Purchase, Refund
from billing.models.purchase import CREDITED
from billing.stripe import checkout as checkouts
from billing.stripe import payments
from billing.stripe.payments import Payment, StripeDispute, StripeRefund

Problem = Callable[[], str]
Settle = Callable[[], object]


def reconcile(since: datetime, *, apply: bool = False) -> Iterator[Finding]:
    """Yield what differs about everything made since then; with `apply`, mend it first and yield what remains.

    Nothing is mended that its event would not have done: the same functions do it. Objects that name no purchase of
    ours belong to something else on the same Stripe account, and are left alone. Raises PaymentServiceUnavailable,
    PaymentServiceRefused, PaymentsOff.
    """
    for payment in payments.list_payments(since):
        if payment.purchase_id and payment.status == "succeeded":
            yield from _compare(f"Payment {payment.id}", *_payment_checks(payment), apply=apply)
    for refund in payments.list_refunds(since):
        if purchase := _purchase_of(refund.payment_id):
            yield from _compare(f"Refund {refund.id}", *_refund_checks(purchase, refund), apply=apply)
    for dispute in payments.list_disputes(since):
        if purchase := _purchase_of(dispute.payment_id):
            yield from _compare(f"Dispute {dispute.id}", *_dispute_checks(purchase, dispute), apply=apply)
    for purchase in Purchase.objects.filter(status__in=CREDITED, paid_at__gte=since).order_by("paid_at").iterator():
        if problem := _problem_at_stripe(purchase):
            yield finding(purchase, problem)


def _compare(name: str, problem_of: Problem, settle: Settle, *, apply: bool) -> Iterator[Finding]:
    problem = problem_of()
    if problem and apply:
        try:
            settle()
        except ObjectRefused as error:
            purchases.note_refusal(error)
            problem = f"{problem}; refused: {error.reason}"
        except (PaymentError, LedgerError) as error:
            problem = f"{problem}; could not be mended: {type(error).__name__}"
        else:
            problem = problem_of()
    if problem:
        yield Finding(name, problem)


def _payment_checks(payment: Payment) -> tuple[Problem, Settle]:
    def problem() -> str:
        purchase = _purchase_of(payment.id)
        if purchase is None or not purchase.is_credited:
            return f"succeeded, and purchase {payment.purchase_id} is not credited with it"
        if (purchase.amount_minor, purchase.currency) != (payment.received_minor, payment.currency):
            return f"received {payment.received_minor} {payment.currency}, its purchase says {purchase.amount_minor}"
        return ""

    return problem, lambda: purchases.settlement_of(payment)()


def _refund_checks(purchase: Purchase, refund: StripeRefund) -> tuple[Problem, Settle]:
    def problem() -> str:
        row = Refund.objects.filter(stripe_refund_id=refund.id).first()
        ours = row.status if row else "unknown"
        return "" if ours == refunds.refund_status(refund) else f"is {refund.status} at Stripe and {ours} here"

    return problem, lambda: refunds.settle_refund(purchase.id, refund)


def _dispute_checks(purchase: Purchase, dispute: StripeDispute) -> tuple[Problem, Settle]:
    def problem() -> str:
        row = Dispute.objects.filter(stripe_dispute_id=dispute.id).first()
        ours = row.status if row else "unknown"
        return "" if ours == refunds.dispute_status(dispute) else f"is {dispute.status} at Stripe and {ours} here"

    return problem, lambda: refunds.settle_dispute(purchase.id, dispute)


def _problem_at_stripe(purchase: Purchase) -> str:
    """Was the money really received for what we credited?"""
    try:
        if not purchase.stripe_payment_intent_id:
            is_paid = checkouts.fetch_checkout(purchase.stripe_checkout_id).is_paid
            return "" if is_paid else "is credited here and not paid at Stripe"
        payment = payments.fetch_payment(purchase.stripe_payment_intent_id)
    except ObjectRefused as error:
        return f"is credited here, and at Stripe: {error.reason}"
    received = payment.status, payment.received_minor, payment.currency
    if received != ("succeeded", purchase.amount_minor, purchase.currency):
        return f"is credited here, and at Stripe its payment is {payment.status} with {payment.received_minor}"
    return ""


def _purchase_of(payment_id: str) -> Purchase | None:
    return Purchase.objects.filter(stripe_payment_intent_id=payment_id).first() if payment_id else None
