"""Payment intents, refunds, disputes and saved cards, as plain values."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import stripe

from billing.exceptions import PaymentServiceRefused
from billing.stripe.client import client, stripe_errors
from billing.stripe.reading import Data, amount, currency_of, data_of, id_of, part, text

# Cards issued in India cannot be charged at once without their holder: the bank wants a mandate and a day's notice.
NO_OFF_SESSION_COUNTRIES = {"IN"}
# What one reconciliation reads of each kind at most; Stripe pages by 100.
MAX_LISTED = 10_000
PAGE = 100


@dataclass(frozen=True)
class Payment:
    """A payment intent. `status` is Stripe's: succeeded, processing, requires_payment_method, canceled, …"""

    id: str
    status: str
    amount_minor: int
    received_minor: int
    currency: str
    purchase_id: str
    customer_id: str
    payment_method_id: str
    failure_code: str


@dataclass(frozen=True)
class StripeRefund:
    """`status` is Stripe's: pending, requires_action, succeeded, failed, canceled."""

    id: str
    status: str
    amount_minor: int
    currency: str
    payment_id: str
    refund_id: str
    reason: str
    failure: str


@dataclass(frozen=True)
class StripeDispute:
    """`status` is Stripe's: warning_…, needs_response, under_review, won, lost, prevented."""

    id: str
    status: str
    amount_minor: int
    currency: str
    payment_id: str
    reason: str


@dataclass(frozen=True)
class SavedCard:
    """A card that was kept for later. `label` is fit to be shown: brand and last four digits."""

    payment_method_id: str
    customer_id: str
    label: str
    country: str
    can_charge_off_session: bool


class CardRefused(Exception):
    """The bank said no; `needs_confirmation` when it would say yes to the card's holder."""

    def __init__(self, code: str, payment_id: str, *, needs_confirmation: bool) -> None:
        super().__init__(code)
        self.code = code
        self.payment_id = payment_id
        self.needs_confirmation = needs_confirmation


def charge_saved_card(
    *,
    purchase_id: UUID,
    organisation_id: UUID,
    amount_minor: int,
    currency: str,
    description: str,
    customer_id: str,
    payment_method_id: str,
) -> Payment:
    """Charge a saved card without its holder, once a purchase: a repeat within a day returns the first answer.

    Raises CardRefused, PaymentServiceUnavailable, PaymentServiceRefused, ObjectRefused, PaymentsOff.
    """
    try:
        with stripe_errors():
            made = client().v1.payment_intents.create(
                {
                    "amount": amount_minor,
                    "currency": currency.lower(),
                    "customer": customer_id,
                    "payment_method": payment_method_id,
                    "confirm": True,
                    "off_session": True,
                    "description": description,
                    "metadata": {"purchase_id": str(purchase_id), "organisation_id": str(organisation_id)},
                },
                {"idempotency_key": f"charge:{purchase_id}"},
            )
    except stripe.CardError as error:
        raise _card_refused(error) from None
    return payment_of(data_of(made))


def fetch_payment(payment_id: str) -> Payment:
    """Raises PaymentServiceUnavailable, PaymentServiceRefused, ObjectRefused, PaymentsOff; as all that fetch."""
    with stripe_errors():
        return payment_of(data_of(client().v1.payment_intents.retrieve(payment_id)))


def find_payment(*, customer_id: str, purchase_id: UUID, since: datetime) -> Payment | None:
    """Look among what a customer was charged since then for a purchase's payment, whose id was never learnt."""
    with stripe_errors():
        page = client().v1.payment_intents.list(
            {"customer": customer_id, "created": {"gte": int(since.timestamp())}, "limit": PAGE}
        )
        found = [payment_of(data_of(intent)) for intent in page.data]
    return next((payment for payment in found if payment.purchase_id == str(purchase_id)), None)


def find_refund(*, payment_id: str, refund_id: UUID) -> StripeRefund | None:
    """Look among a payment's refunds for the one that was asked for under this id."""
    with stripe_errors():
        page = client().v1.refunds.list({"payment_intent": payment_id, "limit": PAGE})
        found = [refund_of(data_of(refund)) for refund in page.data]
    return next((refund for refund in found if refund.refund_id == str(refund_id)), None)


def create_refund(*, refund_id: UUID, purchase_id: UUID, payment_id: str, amount_minor: int) -> StripeRefund:
    """Give money back, once a `refund_id`. Raises as `fetch_payment` does."""
    try:
        with stripe_errors():
            made = client().v1.refunds.create(
                {
                    "payment_intent": payment_id,
                    "amount": amount_minor,
                    "metadata": {"refund_id": str(refund_id), "purchase_id": str(purchase_id)},
                },
                {"idempotency_key": f"refund:{refund_id}"},
            )
    except stripe.CardError as error:
        # Stripe answers 402 also where a refund is not possible, an empty balance for one.
        raise PaymentServiceRefused(str(error.code or "refused")[:100]) from None
    return refund_of(data_of(made))


def fetch_refund(stripe_refund_id: str) -> StripeRefund:
    with stripe_errors():
        return refund_of(data_of(client().v1.refunds.retrieve(stripe_refund_id)))


def fetch_dispute(stripe_dispute_id: str) -> StripeDispute:
    with stripe_errors():
        return dispute_of(data_of(client().v1.disputes.retrieve(stripe_dispute_id)))


def fetch_saved_card(payment_method_id: str) -> SavedCard:
    """Return the card that a checkout kept. Raises as `fetch_payment` does."""
    with stripe_errors():
        method = data_of(client().v1.payment_methods.retrieve(payment_method_id))
    card = part(method, "card")
    country = text(card, "country", most=2)
    brand = text(card, "display_brand", most=40) or text(card, "brand", most=40) or text(method, "type", most=40)
    return SavedCard(
        payment_method_id=text(method, "id"),
        customer_id=id_of(method, "customer"),
        label=f"{brand.replace('_', ' ').title()} •••• {text(card, 'last4', most=4)}",
        country=country,
        can_charge_off_session=text(method, "type") == "card" and country not in NO_OFF_SESSION_COUNTRIES,
    )


def list_payments(since: datetime) -> Iterator[Payment]:
    """Every payment intent made since then, newest first, at most MAX_LISTED; so for the lists below."""
    for data in _listed("payment_intents", since):
        yield payment_of(data)


def list_refunds(since: datetime) -> Iterator[StripeRefund]:
    for data in _listed("refunds", since):
        yield refund_of(data)


def list_disputes(since: datetime) -> Iterator[StripeDispute]:
    for data in _listed("disputes", since):
        yield dispute_of(data)


def payment_of(data: Data) -> Payment:
    error = part(data, "last_payment_error")
    return Payment(
        id=text(data, "id"),
        status=text(data, "status"),
        amount_minor=amount(data, "amount"),
        received_minor=amount(data, "amount_received"),
        currency=currency_of(data),
        purchase_id=text(part(data, "metadata"), "purchase_id"),
        customer_id=id_of(data, "customer"),
        payment_method_id=id_of(data, "payment_method"),
        failure_code=text(error, "decline_code", most=100) or text(error, "code", most=100),
    )


def refund_of(data: Data) -> StripeRefund:
    return StripeRefund(
        id=text(data, "id"),
        status=text(data, "status"),
        amount_minor=amount(data, "amount"),
        currency=currency_of(data),
        payment_id=id_of(data, "payment_intent"),
        refund_id=text(part(data, "metadata"), "refund_id"),
        reason=text(data, "reason", most=60),
        failure=text(data, "failure_reason", most=100),
    )


def dispute_of(data: Data) -> StripeDispute:
    return StripeDispute(
        id=text(data, "id"),
        status=text(data, "status"),
        amount_minor=amount(data, "amount"),
        currency=currency_of(data),
        payment_id=id_of(data, "payment_intent"),
        reason=text(data, "reason", most=60),
    )


def _listed(kind: str, since: datetime) -> Iterator[Data]:
    service = getattr(client().v1, kind)
    with stripe_errors():
        page = service.list({"created": {"gte": int(since.timestamp())}, "limit": PAGE})
        for number, thing in enumerate(page.auto_paging_iter()):
            if number >= MAX_LISTED:
                return
            yield data_of(thing)


def _card_refused(error: stripe.CardError) -> CardRefused:
    details = data_of(error.error) if error.error is not None else {}
    code = str(error.code or "card_declined")[:100]
    return CardRefused(
        text(details, "decline_code", most=100) or code,
        id_of(details, "payment_intent"),
        needs_confirmation=code == "authentication_required",
    )
