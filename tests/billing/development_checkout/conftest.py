"""The stand-in behind a real socket, and Stripe's own library in front of it."""

import json
import re
from urllib.parse import urlsplit

import pytest
import stripe

from billing import development_checkout
from billing.development_checkout import webhooks
from tests.billing.development_checkout import urls
from tests.billing.development_checkout.server import serving

BUYER = {"email": "maria@example.com", "name": "Maria Silva", "country": "DE", "card": "works"}


@pytest.fixture(autouse=True)
def development(settings, tmp_path):
    """A developer's own machine, whose checkout remembers nothing yet, and whose events wait for `deliver`."""
    settings.DEBUG = True
    settings.PAYMENTS = "development"
    settings.DATA_DIR = tmp_path
    settings.ROOT_URLCONF = "tests.billing.development_checkout.urls"
    urls.received.clear()
    urls.answers.clear()


@pytest.fixture(autouse=True)
def no_courier(monkeypatch):
    """Nothing is delivered behind a test's back."""
    monkeypatch.setattr(webhooks.courier, "wake", lambda: None)


@pytest.fixture
def server(development, settings):
    with serving() as url:
        settings.STRIPE_API_BASE = f"{url}/dev/stripe"
        yield url


@pytest.fixture
def library(server):
    http_client = stripe.RequestsClient(timeout=10)
    yield stripe.StripeClient(
        development_checkout.API_KEY,
        base_addresses={"api": development_checkout.api_base()},
        http_client=http_client,
        max_network_retries=0,
    )
    http_client.close()


@pytest.fixture
def api(library):
    return library.v1


@pytest.fixture
def open_checkout(api, server):
    """A function that opens a checkout for one bundle of twelve dollars."""

    def open_(**changes):
        currency, amount = changes.pop("currency", "usd"), changes.pop("amount", 1200)
        price = {"currency": currency, "unit_amount": amount, "product_data": {"name": "1200 credits"}}
        return api.checkout.sessions.create(
            {
                "mode": "payment",
                "success_url": f"{server}/back/?checkout={{CHECKOUT_SESSION_ID}}",
                "cancel_url": f"{server}/cancelled/",
                "line_items": [{"price_data": price, "quantity": 1}],
                **changes,
            }
        )

    return open_


@pytest.fixture
def press(client):
    """A function that presses a button of the hosted page; returns the answer."""

    def press_(checkout, action, **typed):
        return client.post(urlsplit(checkout.url).path, BUYER | typed | {"action": action})

    return press_


@pytest.fixture
def act(client):
    """A function that presses a button of the control page."""

    def act_(action, identifier, **typed):
        assert client.post(f"/dev/stripe/act/{action}/{identifier}/", typed).status_code == 302

    return act_


@pytest.fixture
def answer_bank(client):
    """A function that presses a button of the bank's page, to which `sent_to` redirects."""

    def answer_bank_(sent_to, action):
        assert re.fullmatch(r"/dev/stripe/authenticate/pi_\w+/", urlsplit(sent_to.url).path)
        return client.post(urlsplit(sent_to.url).path, {"action": action})

    return answer_bank_


@pytest.fixture
def pay(api, open_checkout, press):
    """A function that opens a checkout, pays it, and returns it with its payment intent and charge."""

    def pay_(typed=None, **changes):
        checkout = open_checkout(**changes)
        assert press(checkout, "pay", **(typed or {})).status_code == 303
        return api.checkout.sessions.retrieve(checkout.id, {"expand": ["payment_intent.latest_charge"]})

    return pay_


@pytest.fixture
def saved_card(api):
    """A function that saves a card for a new customer, and returns what charges it."""

    def saved_card_(token):
        customer = api.customers.create({"email": "maria@example.com"})
        method = api.payment_methods.attach(token, {"customer": customer.id})
        return {"customer": customer.id, "payment_method": method.id}

    return saved_card_


@pytest.fixture
def deliver(server):
    """A function that makes every delivery that is due, and returns what the webhook has got so far."""

    def deliver_():
        while webhooks.deliver_next():
            pass
        return [json.loads(delivery["body"]) for delivery in urls.received]

    return deliver_


@pytest.fixture
def told(api):
    """A function that lists the types of all events, oldest first."""

    def told_():
        return [event.type for event in api.events.list({"limit": 100})][::-1]

    return told_
