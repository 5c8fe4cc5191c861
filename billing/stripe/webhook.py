"""Is a delivery really Stripe's, fresh, and meant for this installation?"""

import json
import time
from dataclasses import dataclass

import stripe
from django.conf import settings

from billing import development_checkout
from billing.exceptions import ObjectRefused, WebhookRefused
from billing.stripe.client import client, is_live, stripe_errors
from billing.stripe.reading import Data, data_of, part, text

# Stripe signs each try anew, so an honest delivery is seconds old; clocks may differ by as much, either way.
TOLERANCE_S = 300
MAX_BODY_BYTES = 256 * 1024
MAX_TYPE_CHARS = 100


@dataclass(frozen=True)
class StripeNotice:
    """An event: that something happened to the object with the id. What it is now has to be asked."""

    event_id: str
    type: str
    object_id: str
    payload: Data


def signing_secret() -> str:
    """What deliveries are signed with."""
    if settings.PAYMENTS == "development":
        return development_checkout.webhook_secret()
    secret: str = settings.STRIPE_WEBHOOK_SECRET
    return secret


def verify(body: bytes, signature: str, *, now_s: float | None = None) -> StripeNotice:
    """Return what the delivery says. Raises WebhookRefused with the reason in one word."""
    if len(body) > MAX_BODY_BYTES:
        raise WebhookRefused("too_large")
    _check_signature(body, signature, time.time() if now_s is None else now_s)
    try:
        # PostgreSQL stores no NUL, NaN is not JSON, and a number of a million digits is an attack.
        payload = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise WebhookRefused("bad_json") from None
    if not isinstance(payload, dict) or b"\\u0000" in body:
        raise WebhookRefused("bad_json")
    try:
        return notice_of(payload)
    except ObjectRefused:
        raise WebhookRefused("not_an_event") from None


def fetch_notice(event_id: str) -> StripeNotice:
    """Ask Stripe for an event that we never got. Raises ObjectRefused, PaymentServiceUnavailable and their like."""
    with stripe_errors():
        return notice_of(data_of(client().v1.events.retrieve(event_id)))


def notice_of(payload: Data) -> StripeNotice:
    """Raises WebhookRefused for an event that is not this installation's, ObjectRefused for what is no event."""
    event_id, kind = text(payload, "id"), text(payload, "type", most=MAX_TYPE_CHARS)
    if payload.get("object") != "event" or not event_id or not kind:
        raise WebhookRefused("not_an_event")
    if bool(payload.get("livemode")) != is_live():
        raise WebhookRefused("wrong_mode")
    if payload.get("account"):
        raise WebhookRefused("of_another_account")
    return StripeNotice(event_id, kind, text(part(part(payload, "data"), "object"), "id"), payload)


def _check_signature(body: bytes, signature: str, now_s: float) -> None:
    try:
        stripe.WebhookSignature.verify_header(body, signature, signing_secret(), None)
    except (stripe.SignatureVerificationError, UnicodeDecodeError):
        raise WebhookRefused("bad_signature") from None
    # The library looks at the age only, and accepts any time that is still to come.
    signed_at_s = _signed_at_s(signature)
    if signed_at_s < now_s - TOLERANCE_S:
        raise WebhookRefused("too_old")
    if signed_at_s > now_s + TOLERANCE_S:
        raise WebhookRefused("from_the_future")


def _signed_at_s(signature: str) -> int:
    """The signed timestamp, read as the library reads it: the first `t`."""
    return int(next(item.split("=", 2)[1] for item in signature.split(",") if item.split("=", 2)[0] == "t"))


def _refuse_constant(name: str) -> None:
    raise ValueError(name)
