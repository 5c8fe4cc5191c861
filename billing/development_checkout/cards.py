"""The cards of the stand-in: what each does when it is charged, and their payment methods in Stripe's shape."""

import time
from dataclasses import dataclass

from billing.development_checkout.errors import Json
from billing.development_checkout.store import Books


@dataclass(frozen=True, slots=True)
class Refusal:
    code: str
    decline_code: str
    message: str


DECLINED = Refusal("card_declined", "generic_decline", "Your card was declined.")
AUTHENTICATION_REQUIRED = Refusal(
    "authentication_required",
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
)
AUTHENTICATION_FAILED = Refusal(
    "payment_intent_authentication_failure",
    "",
    "We are unable to authenticate your payment method. Please choose a different payment method and try again.",
)
DEBIT_FAILED = Refusal("payment_intent_payment_attempt_failed", "", "The payment failed.")


@dataclass(frozen=True, slots=True)
class Card:
    """A card that passes while its owner is present; `later` is what charging it in their absence brings."""

    slug: str
    label: str
    last4: str
    country: str
    token: str
    later: Refusal | None = None
    # Whether the bank asks its owner even when they are present and pay through the API.
    asks: bool = False
    # Whether it is refused whoever is present (Stripe's 0341: saving it works, charging it never does).
    always_declined: bool = False


# The last four digits are those of Stripe's own test cards, and the tokens the names of its test payment methods.
CARDS = {
    card.slug: card
    for card in (
        Card("works", "It is charged", "4242", "US", "pm_card_visa"),
        Card(
            "declined",
            "It is declined",
            "0341",
            "US",
            "pm_card_chargeCustomerFail",
            later=DECLINED,
            always_declined=True,
        ),
        Card(
            "asks",
            "The bank wants its owner to confirm",
            "3184",
            "US",
            "pm_card_authenticationRequired",
            later=AUTHENTICATION_REQUIRED,
            asks=True,
        ),
        Card(
            "indian",
            "It is an Indian card: the bank wants its owner to confirm every time",
            "0008",
            "IN",
            "pm_card_in",
            later=AUTHENTICATION_REQUIRED,
            asks=True,
        ),
    )
}
_BY_LAST4 = {card.last4: card for card in CARDS.values()}
_BY_TOKEN = {card.token: card for card in CARDS.values()}
NO_DETAILS: Json = {"address": None, "email": None, "name": None, "phone": None, "tax_id": None}


def card_of(method: Json) -> Card | None:
    """The card behind a payment method; None for one that is no card."""
    return _BY_LAST4[method["card"]["last4"]] if method["type"] == "card" else None


def card_of_token(token: str) -> Card | None:
    """The card that a test payment method's name (`pm_card_visa`) stands for."""
    return _BY_TOKEN.get(token)


def add_card(books: Books, card: Card, customer: str | None = None, details: Json | None = None) -> Json:
    """Make a payment method of the card."""
    return _add(books, "card", _card_details(card), customer, details)


def add_delayed_method(books: Books, currency: str, details: Json | None = None) -> Json:
    """Make a payment method that says days later whether the money came: a bank debit in dollars, UPI in rupees."""
    if currency == "inr":
        return _add(books, "upi", {"vpa": "success@stripeupi"}, None, details)
    bank = {"account_type": "checking", "bank_name": "STRIPE TEST BANK", "last4": "6789"}
    return _add(books, "us_bank_account", bank, None, details)


def _add(books: Books, kind: str, specifics: Json, customer: str | None, details: Json | None) -> Json:
    fields = {
        "allow_redisplay": "unspecified",
        "billing_details": NO_DETAILS | (details or {}),
        "customer": customer,
        "metadata": {},
        "type": kind,
        kind: specifics,
    }
    return books.add("pm_", "payment_method", fields)


def _card_details(card: Card) -> Json:
    return {
        "brand": "visa",
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
        "country": card.country,
        "display_brand": "visa",
        "exp_month": 12,
        "exp_year": time.gmtime().tm_year + 4,
        "fingerprint": f"developmentcard{card.last4}",
        "funding": "credit",
        "generated_from": None,
        "last4": card.last4,
        "networks": {"available": ["visa"], "preferred": None},
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }
