"""Buying a bundle: a hosted checkout or a saved card, and what Stripe then says about it, applied as a state machine.

What is sold is written down first. Whoever hears of a payment, the buyer's way back, a webhook or the sweep, asks
Stripe what the object is now and applies that under the purchase's lock: the order, number and age of what was heard
never matter. A credited purchase stays credited; what happens to its money later is in billing.refunds.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.utils import timezone

from accounts.models import Organisation, User
from billing import ledger
from billing.bundles import Offer, currency_of, offer_of
from billing.exceptions import (
    KeyReused,
    LedgerError,
    ObjectRefused,
    PaymentDeclined,
    PaymentError,
    PaymentNeedsConfirmation,
    PaymentServiceRefused,
    PurchaseNotFound,
)
from billing.models import Bundle, Origin, Purchase, PurchaseStatus
from billing.models.purchase import CREDITED, UNDECIDED
from billing.signals import announce, payment_failed, payment_succeeded
from billing.stripe import checkout as checkouts
from billing.stripe import payments
from billing.stripe.checkout import Checkout
from billing.stripe.payments import CardRefused, Payment

CHECKOUT_LASTS = timedelta(hours=2)
NEEDS_CONFIRMATION = "authentication_required"
NEVER_OPENED = "never_opened"
NEVER_CHARGED = "never_charged"
# The first look at what nobody reported; later ones come after a quarter of the purchase's age, once a day at least.
FIRST_CHECK = timedelta(minutes=5)
LONGEST_CHECK = timedelta(days=1)
# No method of payment takes longer to say yes or no.
CHECKED_FOR = timedelta(days=60)
# Stripe forgets an idempotency key after a day. From then on a repeat could charge twice, so there is none.
REPEATABLE_FOR = timedelta(hours=20)
MAX_CHECKS_A_SWEEP = 50

log = structlog.get_logger(__name__)


def start_checkout(
    organisation: Organisation,
    bundle: Bundle,
    user: User,
    *,
    success_url: str,
    cancel_url: str,
    save_card: bool = False,
) -> str:
    """Return the address of a hosted page where the bundle can be paid, in the organisation's currency.

    Stripe sends the buyer back to `success_url` with `checkout=<id>` added: hand the id to `apply_checkout`. With
    `save_card` the card is kept for automatic top-ups. Raises BundleNotOnSale, PaymentsOff, PaymentServiceUnavailable,
    PaymentServiceRefused.
    """
    offer = offer_of(bundle, currency_of(organisation))
    purchase = Purchase.objects.create(
        organisation=organisation, created_by=user, origin=Origin.CHECKOUT, **_terms(offer)
    )
    try:
        checkout = checkouts.create_checkout(
            purchase_id=purchase.id,
            organisation_id=organisation.id,
            name=bundle.name,
            description=_description_of(purchase),
            amount_minor=purchase.price_minor,
            currency=purchase.currency,
            success_url=_with_checkout_id(success_url),
            cancel_url=cancel_url,
            expires_at=timezone.now() + CHECKOUT_LASTS,
            email=user.email,
            customer_id=_customer_of(organisation),
            save_card=save_card,
        )
    except (PaymentServiceRefused, ObjectRefused) as error:
        log.error("checkout_refused", purchase_id=str(purchase.id), code=_code_of(error))
        _fail(purchase.id, _code_of(error))
        raise
    # Only now can anybody pay: whoever is told of a payment finds the purchase by this id.
    Purchase.objects.filter(pk=purchase.pk).update(stripe_checkout_id=checkout.id)
    return checkout.url


def apply_checkout(checkout_id: str, organisation: Organisation | None = None) -> Purchase:
    """Ask Stripe what became of a checkout that was started here, apply it, and return the purchase as it is now.

    For the page that the buyer comes back to: name the buyer's organisation, and those of others are not found. Raises
    PurchaseNotFound, ObjectRefused, PaymentServiceUnavailable, PaymentServiceRefused, PaymentsOff.
    """
    mine = Purchase.objects.all() if organisation is None else Purchase.objects.filter(organisation=organisation)
    purchase = mine.filter(stripe_checkout_id=checkout_id).first() if checkout_id else None
    if purchase is None:
        raise PurchaseNotFound(checkout_id)
    return purchase if purchase.is_credited else refresh(purchase)


def charge_off_session(
    organisation: Organisation, bundle: Bundle, attempt_key: str, *, customer_id: str, payment_method_id: str
) -> Purchase:
    """Buy a bundle with a saved card, its holder absent: once an `attempt_key`, however often it is called.

    The purchase is paid, or pending while the bank thinks. Raises PaymentDeclined and PaymentNeedsConfirmation, also
    when a repeat finds that the first call ended so; PaymentServiceUnavailable: call again with the same key;
    BundleNotOnSale, KeyReused, ObjectRefused, PaymentsOff.
    """
    purchase = Purchase.objects.filter(attempt_key=attempt_key).first() or _write_down_attempt(
        organisation, bundle, attempt_key, customer_id, payment_method_id
    )
    if (purchase.organisation_id, purchase.bundle_id) != (organisation.pk, bundle.pk):
        raise KeyReused(attempt_key)
    if purchase.is_undecided:
        purchase = _charge(purchase)
    if purchase.status == PurchaseStatus.FAILED:
        raise _failure_of(purchase)
    return purchase


def refresh(purchase: Purchase) -> Purchase:
    """Ask Stripe what the purchase's payment is now and apply it. Raises as `apply_checkout` does."""
    try:
        if purchase.stripe_checkout_id:
            return settle_checkout(checkouts.fetch_checkout(purchase.stripe_checkout_id))
        if purchase.origin == Origin.CHECKOUT:
            return _give_up(purchase, NEVER_OPENED, PurchaseStatus.EXPIRED)
        payment = _payment_of(purchase)
        return settle_payment(payment) if payment else _give_up(purchase, NEVER_CHARGED, PurchaseStatus.FAILED)
    except ObjectRefused as error:
        note_refusal(error)
        raise


def settle_checkout(checkout: Checkout) -> Purchase:
    """Apply a checkout, fetched just now, to its purchase. Raises ObjectRefused, LedgerError."""
    with transaction.atomic():
        purchase = _lock_claimed(checkout.purchase_id, Origin.CHECKOUT)
        if checkout.id != (purchase.stripe_checkout_id or checkout.id):
            raise ObjectRefused("another_checkout", purchase.id)
        purchase.stripe_checkout_id = checkout.id
        if purchase.is_credited:
            return purchase
        if checkout.is_paid:
            _check_checkout(purchase, checkout)
            _keep_buyer(purchase, checkout)
            return _credit(purchase)
        return _move(purchase, *_unpaid_checkout(checkout))


def settle_payment(payment: Payment) -> Purchase:
    """Apply a saved card's payment, fetched just now, to its purchase. Raises ObjectRefused, LedgerError."""
    with transaction.atomic():
        purchase = _lock_claimed(payment.purchase_id, Origin.AUTO_TOP_UP)
        if payment.id != (purchase.stripe_payment_intent_id or payment.id):
            raise ObjectRefused("another_payment", purchase.id)
        purchase.stripe_payment_intent_id = payment.id
        if purchase.is_credited:
            return purchase
        if payment.status == "succeeded":
            _check_payment(purchase, payment, purchase.price_minor)
            return _credit(purchase)
        return _move(purchase, *_unpaid_payment(payment))


def settlement_of(payment: Payment) -> Callable[[], Purchase]:
    """Return what applies a payment to its purchase, whichever way that was bought; may ask Stripe for its checkout.

    Raises ObjectRefused, PaymentServiceUnavailable, PaymentServiceRefused.
    """
    purchase = _claimed(payment.purchase_id)
    if purchase.origin == Origin.AUTO_TOP_UP:
        return lambda: settle_payment(payment)
    if not purchase.stripe_checkout_id:
        # Nobody was ever shown the page, so nothing was paid on it; its own events name the checkout.
        return lambda: purchase
    checkout = checkouts.fetch_checkout(purchase.stripe_checkout_id)
    return lambda: settle_checkout(checkout)


def credited_purchase_of(payment_id: str) -> Purchase:
    """Return the purchase that a payment paid for, credited first if it was not yet.

    Money can come back before anybody told that it had come. Raises ObjectRefused when there is none of ours, and as
    `settlement_of` does.
    """
    if not payment_id:
        raise ObjectRefused("not_ours")
    purchase = Purchase.objects.filter(stripe_payment_intent_id=payment_id).first()
    if purchase is None or not purchase.is_credited:
        purchase = settlement_of(payments.fetch_payment(payment_id))()
    if not purchase.is_credited or purchase.stripe_payment_intent_id != payment_id:
        raise ObjectRefused("not_credited", purchase.id)
    return purchase


def note_refusal(error: ObjectRefused) -> None:
    """Write on the purchase why what Stripe holds for it was not accepted, for the operator to see."""
    log.error("stripe_object_refused", purchase_id=str(error.purchase_id or ""), reason=error.reason)
    if error.purchase_id is not None:
        Purchase.objects.filter(pk=error.purchase_id).exclude(status__in=CREDITED).update(failure=error.reason)


def sweep_purchases(now: datetime) -> int:
    """Ask about purchases that neither the buyer's return nor a webhook decided; say how many were looked at."""
    due = Purchase.objects.filter(status__in=UNDECIDED, next_check_at__lte=now).order_by("next_check_at")
    checked = 0
    for purchase in due[:MAX_CHECKS_A_SWEEP]:
        # Moved on first, so that one that fails, or kills the worker, does not keep the others waiting.
        Purchase.objects.filter(pk=purchase.pk).update(next_check_at=_next_check(purchase, now))
        checked += 1
        try:
            refresh(purchase)
        except (PaymentError, LedgerError) as error:
            log.warning("purchase_not_checked", purchase_id=str(purchase.id), error=type(error).__name__)
    return checked


def _terms(offer: Offer) -> dict[str, Any]:
    """What is sold, as it is now: changing the bundle later changes no purchase."""
    now = timezone.now()
    return {
        "bundle": offer.bundle,
        # The ledger takes one printable line, and no name of a bundle may keep paid credits from being given.
        "bundle_name": "".join(character if character.isprintable() else " " for character in offer.bundle.name),
        "credits_micro": offer.credits_micro,
        "currency": offer.currency,
        "price_minor": offer.amount_minor,
        "amount_minor": offer.amount_minor,
        "created_at": now,
        "next_check_at": now + FIRST_CHECK,
    }


def _write_down_attempt(
    organisation: Organisation, bundle: Bundle, attempt_key: str, customer_id: str, payment_method_id: str
) -> Purchase:
    """Two calls that race for one key get one purchase, whose id is the key that Stripe knows the charge by."""
    terms = _terms(offer_of(bundle, currency_of(organisation)))
    bought_by = {"organisation": organisation, "origin": Origin.AUTO_TOP_UP}
    card = {"stripe_customer_id": customer_id, "stripe_payment_method_id": payment_method_id}
    return Purchase.objects.get_or_create(attempt_key=attempt_key, defaults=terms | bought_by | card)[0]


def _charge(purchase: Purchase) -> Purchase:
    if purchase.stripe_payment_intent_id or timezone.now() - purchase.created_at > REPEATABLE_FOR:
        return refresh(purchase)
    try:
        payment = payments.charge_saved_card(
            purchase_id=purchase.id,
            organisation_id=purchase.organisation_id,
            amount_minor=purchase.price_minor,
            currency=purchase.currency,
            description=_description_of(purchase),
            customer_id=purchase.stripe_customer_id,
            payment_method_id=purchase.stripe_payment_method_id,
        )
    except CardRefused as refused:
        code = NEEDS_CONFIRMATION if refused.needs_confirmation else refused.code
        return _fail(purchase.id, code, payment_id=refused.payment_id)
    except (PaymentServiceRefused, ObjectRefused) as error:
        # The card or its customer is gone: as good as declined.
        return _fail(purchase.id, _code_of(error))
    try:
        return settle_payment(payment)
    except ObjectRefused as error:
        note_refusal(error)
        raise


def _payment_of(purchase: Purchase) -> Payment | None:
    if purchase.stripe_payment_intent_id:
        return payments.fetch_payment(purchase.stripe_payment_intent_id)
    return payments.find_payment(
        customer_id=purchase.stripe_customer_id,
        purchase_id=purchase.id,
        # Clocks differ; the purchase was written down before it was charged.
        since=purchase.created_at - timedelta(hours=1),
    )


def _give_up(purchase: Purchase, failure: str, status: PurchaseStatus) -> Purchase:
    """End a purchase that Stripe knows nothing of, once no repeat of its first request can be on its way."""
    if timezone.now() - purchase.created_at <= REPEATABLE_FOR:
        return purchase
    with transaction.atomic():
        return _move(_lock(purchase.id), status, failure)


def _claimed(purchase_id: str) -> Purchase:
    """Find the purchase that an object at Stripe names. Raises ObjectRefused."""
    try:
        return Purchase.objects.get(pk=UUID(purchase_id))
    except (ValueError, Purchase.DoesNotExist):
        raise ObjectRefused("not_ours") from None


def _lock_claimed(purchase_id: str, origin: Origin) -> Purchase:
    purchase = _lock(_claimed(purchase_id).id)
    if purchase.origin != origin:
        raise ObjectRefused("not_ours", purchase.id)
    return purchase


def _lock(purchase_id: UUID) -> Purchase:
    return Purchase.objects.select_for_update().get(pk=purchase_id)


def _check_checkout(purchase: Purchase, checkout: Checkout) -> None:
    """Was what we sold paid, all of it, in our currency? Promotion codes and tax are Stripe's to add."""
    if checkout.currency != purchase.currency:
        raise ObjectRefused("wrong_currency", purchase.id)
    if checkout.subtotal_minor != purchase.price_minor or checkout.discount_minor > checkout.subtotal_minor:
        raise ObjectRefused("wrong_amount", purchase.id)
    if checkout.payment is not None:
        _check_payment(purchase, checkout.payment, checkout.total_minor)
    elif checkout.total_minor:
        raise ObjectRefused("no_payment", purchase.id)


def _check_payment(purchase: Purchase, payment: Payment, total_minor: int) -> None:
    if payment.currency != purchase.currency:
        raise ObjectRefused("wrong_currency", purchase.id)
    if (payment.status, payment.amount_minor, payment.received_minor) != ("succeeded", total_minor, total_minor):
        raise ObjectRefused("wrong_amount", purchase.id)
    if payment.purchase_id != str(purchase.id):
        raise ObjectRefused("not_ours", purchase.id)


def _unpaid_checkout(checkout: Checkout) -> tuple[PurchaseStatus, str]:
    if checkout.status == "expired":
        return PurchaseStatus.EXPIRED, ""
    if checkout.status != "complete":
        return PurchaseStatus.CREATED, ""
    if checkout.payment is None:
        return PurchaseStatus.PENDING, ""
    return _unpaid_payment(checkout.payment)


def _unpaid_payment(payment: Payment) -> tuple[PurchaseStatus, str]:
    match payment.status:
        case "requires_payment_method" | "canceled":
            return PurchaseStatus.FAILED, payment.failure_code or payment.status
        case "requires_action":
            return PurchaseStatus.FAILED, NEEDS_CONFIRMATION
    return PurchaseStatus.PENDING, ""


def _keep_buyer(purchase: Purchase, checkout: Checkout) -> None:
    purchase.discount_minor = checkout.discount_minor
    purchase.tax_minor = checkout.tax_minor
    purchase.amount_minor = checkout.total_minor
    purchase.stripe_customer_id = checkout.customer_id
    if checkout.payment is not None:
        purchase.stripe_payment_intent_id = checkout.payment.id
        purchase.stripe_payment_method_id = checkout.payment.payment_method_id
    purchase.buyer_name = checkout.buyer.name
    purchase.buyer_email = checkout.buyer.email
    purchase.buyer_address = checkout.buyer.address
    purchase.buyer_tax_id = checkout.buyer.tax_id


def _credit(purchase: Purchase) -> Purchase:
    """Give the credits of the locked purchase, and say so, in one transaction with whatever the caller writes."""
    ledger.purchase(
        purchase.organisation_id,
        purchase.credits_micro,
        key=purchase.reference,
        reference=purchase.reference,
        description=_description_of(purchase),
    )
    purchase.status = PurchaseStatus.PAID
    purchase.paid_at = timezone.now()
    purchase.failure = ""
    purchase.next_check_at = None
    purchase.save()
    announce(payment_succeeded, purchase_id=purchase.id)
    return purchase


def _move(purchase: Purchase, status: PurchaseStatus, failure: str) -> Purchase:
    """Move the locked purchase on, never back: what was fetched before another worker's news is old."""
    is_news = purchase.is_undecided and (status, purchase.status) != (PurchaseStatus.CREATED, PurchaseStatus.PENDING)
    if is_news:
        purchase.status, purchase.failure = status, failure
        if not purchase.is_undecided:
            purchase.next_check_at = None
    purchase.save()
    if is_news and status == PurchaseStatus.FAILED:
        announce(payment_failed, purchase_id=purchase.id)
    return purchase


def _fail(purchase_id: UUID, code: str, payment_id: str = "") -> Purchase:
    with transaction.atomic():
        purchase = _lock(purchase_id)
        purchase.stripe_payment_intent_id = purchase.stripe_payment_intent_id or payment_id
        return _move(purchase, PurchaseStatus.FAILED, code)


def _failure_of(purchase: Purchase) -> PaymentDeclined | PaymentNeedsConfirmation:
    if purchase.failure == NEEDS_CONFIRMATION:
        return PaymentNeedsConfirmation(purchase.id)
    return PaymentDeclined(purchase.id, purchase.failure)


def _next_check(purchase: Purchase, now: datetime) -> datetime | None:
    age = now - purchase.created_at
    return None if age > CHECKED_FOR else now + min(max(FIRST_CHECK, age / 4), LONGEST_CHECK)


def _customer_of(organisation: Organisation) -> str:
    """Stripe's customer from the organisation's last paid purchase, so that its details need not be typed again."""
    paid = Purchase.objects.filter(organisation=organisation, status__in=CREDITED).exclude(stripe_customer_id="")
    return paid.order_by("-paid_at").values_list("stripe_customer_id", flat=True).first() or ""


def _description_of(purchase: Purchase) -> str:
    return f"{purchase.bundle_name}: {purchase.credits_micro // ledger.MICRO:,} credits"


def _with_checkout_id(url: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}checkout={{CHECKOUT_SESSION_ID}}"


def _code_of(error: PaymentServiceRefused | ObjectRefused) -> str:
    return error.reason if isinstance(error, ObjectRefused) else error.code
