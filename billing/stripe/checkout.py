"""Stripe's hosted checkout page: open one for a purchase, and read what became of it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings

from billing.exceptions import ObjectRefused, PaymentServiceRefused
from billing.stripe.client import client, stripe_errors
from billing.stripe.payments import MAX_LISTED, PAGE, Payment, payment_of
from billing.stripe.reading import Data, amount, currency_of, data_of, id_of, part, text

MAX_NAME_CHARS = 200
MAX_ADDRESS_CHARS = 200
ADDRESS_FIELDS = ("line1", "line2", "city", "state", "postal_code", "country")


@dataclass(frozen=True)
class Buyer:
    name: str = ""
    email: str = ""
    address: dict[str, str] = field(default_factory=dict)
    tax_id: str = ""


@dataclass(frozen=True)
class Checkout:
    """A checkout session. `status` is open, complete or expired; `payment_status` paid, unpaid, no_payment_required.

    `total_minor = subtotal_minor - discount_minor + tax_minor` was charged; `payment` is None when nothing was.
    """

    id: str
    url: str
    status: str
    payment_status: str
    currency: str
    subtotal_minor: int
    discount_minor: int
    tax_minor: int
    total_minor: int
    purchase_id: str
    customer_id: str
    payment: Payment | None
    buyer: Buyer

    @property
    def is_paid(self) -> bool:
        return self.status == "complete" and self.payment_status in ("paid", "no_payment_required")


def create_checkout(
    *,
    purchase_id: UUID,
    organisation_id: UUID,
    name: str,
    description: str,
    amount_minor: int,
    currency: str,
    success_url: str,
    cancel_url: str,
    expires_at: datetime,
    email: str,
    customer_id: str,
    save_card: bool,
) -> Checkout:
    """Open a checkout page for one purchase; a repeat returns the same page.

    Raises PaymentServiceUnavailable, PaymentServiceRefused, PaymentsOff.
    """
    metadata = {"purchase_id": str(purchase_id), "organisation_id": str(organisation_id)}
    payment: dict[str, Any] = {"description": description, "metadata": metadata}
    if save_card:
        payment["setup_future_usage"] = "off_session"
    product = {"name": name, "description": description}
    price = {
        "currency": currency.lower(),
        "unit_amount": amount_minor,
        "product_data": product,
        "tax_behavior": "exclusive",
    }
    parameters: dict[str, Any] = {
        "mode": "payment",
        "client_reference_id": str(purchase_id),
        "metadata": metadata,
        "line_items": [{"quantity": 1, "price_data": price}],
        "payment_intent_data": payment,
        "allow_promotion_codes": True,
        "automatic_tax": {"enabled": settings.STRIPE_AUTOMATIC_TAX},
        # India wants the name and address of everybody who buys from abroad, and a receipt wants them anyway.
        "billing_address_collection": "required",
        "tax_id_collection": {"enabled": True},
        "success_url": success_url,
        "cancel_url": cancel_url,
        "expires_at": int(expires_at.timestamp()),
        **_customer_parameters(customer_id, email),
    }
    with stripe_errors():
        made = client().v1.checkout.sessions.create(
            parameters,  # type: ignore[arg-type]
            {"idempotency_key": f"checkout:{purchase_id}"},
        )
    return checkout_of(data_of(made))


def fetch_checkout(checkout_id: str) -> Checkout:
    """Return the checkout with its payment.

    Raises PaymentServiceUnavailable, PaymentServiceRefused, ObjectRefused, PaymentsOff.
    """
    with stripe_errors():
        fetched = client().v1.checkout.sessions.retrieve(checkout_id, {"expand": ["payment_intent"]})
    return checkout_of(data_of(fetched))


def close_checkout(checkout_id: str) -> None:
    """Make sure that the page can no longer be paid; one that is finished stays as it is."""
    try:
        with stripe_errors():
            client().v1.checkout.sessions.expire(checkout_id)
    except PaymentServiceRefused:
        return


def list_checkouts(since: datetime) -> Iterator[Checkout]:
    """Every checkout opened since then, newest first; their payments are not included."""
    with stripe_errors():
        page = client().v1.checkout.sessions.list({"created": {"gte": int(since.timestamp())}, "limit": PAGE})
        for number, session in enumerate(page.auto_paging_iter()):
            if number >= MAX_LISTED:
                return
            yield checkout_of(data_of(session))


def checkout_of(data: Data) -> Checkout:
    """Raises ObjectRefused when the amounts do not add up."""
    details = part(data, "total_details")
    payment = part(data, "payment_intent")
    checkout = Checkout(
        id=text(data, "id"),
        url=text(data, "url", most=4000),
        status=text(data, "status"),
        payment_status=text(data, "payment_status"),
        currency=currency_of(data),
        subtotal_minor=amount(data, "amount_subtotal"),
        discount_minor=amount(details, "amount_discount"),
        tax_minor=amount(details, "amount_tax"),
        total_minor=amount(data, "amount_total"),
        purchase_id=text(part(data, "metadata"), "purchase_id"),
        customer_id=id_of(data, "customer"),
        payment=payment_of(payment) if payment else None,
        buyer=_buyer_of(part(data, "customer_details")),
    )
    if checkout.total_minor != checkout.subtotal_minor - checkout.discount_minor + checkout.tax_minor:
        raise ObjectRefused("amounts_do_not_add_up")
    return checkout


def _customer_parameters(customer_id: str, email: str) -> dict[str, Any]:
    if customer_id:
        return {"customer": customer_id, "customer_update": {"name": "auto", "address": "auto"}}
    return {"customer_creation": "always"} | ({"customer_email": email} if email else {})


def _buyer_of(details: Data) -> Buyer:
    address = part(details, "address")
    tax_ids = details.get("tax_ids")
    first = tax_ids[0] if isinstance(tax_ids, list) and tax_ids and isinstance(tax_ids[0], dict) else {}
    return Buyer(
        name=text(details, "business_name", most=MAX_NAME_CHARS) or text(details, "name", most=MAX_NAME_CHARS),
        email=text(details, "email", most=254),
        address={name: text(address, name, most=MAX_ADDRESS_CHARS) for name in ADDRESS_FIELDS if address.get(name)},
        tax_id=text(first, "value", most=60),
    )
