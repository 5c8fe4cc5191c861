"""Short ways to say what a test of buying starts from, and how Stripe's news arrives."""

import json

from django.test import Client, TestCase
from django.urls import reverse

from billing import purchases
from billing.bundles import seed_bundles
from billing.ledger import MICRO
from billing.models import Bundle, Purchase
from tests.billing.money import balance
from tests.fakes.stripe_server import FakeStripe

PAGES = {"success_url": "https://parley.example/paid", "cancel_url": "https://parley.example/billing"}


def a_bundle(slug="starter"):
    # Seeding looks at every bundle and price; a story that buys often need not.
    if not Bundle.objects.filter(slug=slug).exists():
        seed_bundles()
    return Bundle.objects.get(slug=slug)


def start(organisation, user, slug="starter", **options):
    """Open a checkout and return the purchase."""
    purchases.start_checkout(organisation, a_bundle(slug), user, **PAGES, **options)
    return Purchase.objects.filter(organisation=organisation).latest("created_at")


def deliver(event, client=None, **signing):
    """Send an event to the webhook as Stripe does, and return the response."""
    return deliver_body(json.dumps(event), client, **signing)


def deliver_body(body, client=None, *, headers=None, **signing):
    headers = FakeStripe.signed(body, **signing) if headers is None else headers
    url = reverse("billing:stripe_webhook")
    # In a test that is one transaction nothing is ever committed; the view acts upon the event when it is.
    with TestCase.captureOnCommitCallbacks(execute=True):
        return (client or Client()).post(url, body, content_type="application/json", headers=headers)


def credits(organisation):
    """What the wallet has, in whole credits where it is whole."""
    return balance(organisation)[0] / MICRO
