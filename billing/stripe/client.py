"""The connection to Stripe: one pinned API version, bounded waiting, repeats that cannot double anything."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import stripe
import structlog
from django.conf import settings

from billing import development_checkout
from billing.exceptions import ObjectRefused, PaymentServiceRefused, PaymentServiceUnavailable, PaymentsOff

# What the code reads was written for this version; a new library must not change it unseen.
API_VERSION = "2026-10-28.endive"
CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 20
# The library repeats a request with the same idempotency key, so a repeat charges nothing twice.
MAX_NETWORK_RETRIES = 2
MAX_CODE_CHARS = 100

# Timings of earlier requests, which the library would add to later ones.
stripe.enable_telemetry = False

log = structlog.get_logger(__name__)


def client() -> stripe.StripeClient:
    """Return the client of this installation. Raises PaymentsOff."""
    if settings.PAYMENTS == "off":
        raise PaymentsOff
    return _client_of(secret_key(), api_base())


def secret_key() -> str:
    """The key that payments are made with; the development checkout takes its own and no other."""
    return development_checkout.API_KEY if settings.PAYMENTS == "development" else settings.STRIPE_SECRET_KEY


def api_base() -> str:
    """Where the API is: Stripe's own address, the development checkout's, or the one that a test set."""
    if settings.PAYMENTS == "development":
        return development_checkout.api_base()
    named: str = settings.STRIPE_API_BASE
    return named or str(stripe.DEFAULT_API_BASE)


def is_live() -> bool:
    return secret_key().startswith(("sk_live_", "rk_live_"))


@contextmanager
def stripe_errors() -> Iterator[None]:
    """Turn the library's errors into ours: worth repeating, or not. A refused card (CardError) passes through.

    Raises PaymentServiceUnavailable, PaymentServiceRefused, ObjectRefused. Stripe's own text may quote a request with a
    person's data in it, so only codes are kept.
    """
    try:
        yield
    except stripe.CardError:
        raise
    except stripe.InvalidRequestError as error:
        if error.http_status == 404:
            raise ObjectRefused("not_at_stripe") from None
        raise PaymentServiceRefused(_code_of(error)) from None
    except stripe.IdempotencyError as error:
        raise PaymentServiceRefused(_code_of(error)) from None
    except stripe.StripeError as error:
        # Also a wrong key or a missing permission: the operator mends it, and what waits is then done.
        log.warning("stripe_unavailable", error=type(error).__name__, status=error.http_status)
        raise PaymentServiceUnavailable(_code_of(error)) from None


@lru_cache(maxsize=8)
def _client_of(key: str, base: str) -> stripe.StripeClient:
    if base != stripe.DEFAULT_API_BASE and not key.startswith("sk_test_"):
        raise PaymentServiceRefused("live_key_elsewhere")
    return stripe.StripeClient(
        key,
        stripe_version=API_VERSION,
        base_addresses={"api": base},
        max_network_retries=MAX_NETWORK_RETRIES,
        http_client=stripe.RequestsClient(timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S)),
    )


def _code_of(error: stripe.StripeError) -> str:
    return str(error.code or type(error).__name__)[:MAX_CODE_CHARS]
