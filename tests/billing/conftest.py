"""A tenant with a wallet, another who must never be touched, and the operator."""

from contextlib import ExitStack

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission

from billing.audit import audit_ledger
from tests.billing.money import an_organisation, connected
from tests.fakes.stripe_server import KEY, SECRET, FakeStripe


@pytest.fixture
def alice(db):
    """An organisation with 100 micro-credits: small numbers are easy to follow."""
    organisation = an_organisation(credits_micro=100)
    yield organisation
    assert list(audit_ledger()) == [], "whatever a test does through the ledger, the books are right"


@pytest.fixture
def mallory(db):
    return an_organisation("Mallory's", credits_micro=100)


@pytest.fixture
def operator(db):
    return get_user_model().objects.create_superuser("olga@example.com", "correct horse battery")


@pytest.fixture
def office(client, operator):
    """The operator's browser."""
    client.force_login(operator)
    return client


@pytest.fixture
def clerk_with(client, db):
    """`clerk_with("view_wallet")` is the browser of somebody on the staff who may do just that."""

    def log_in(*codenames):
        clerk = get_user_model().objects.create_user("clerk@example.com", "correct horse battery", is_staff=True)
        clerk.user_permissions.add(*Permission.objects.filter(codename__in=codenames))
        client.force_login(clerk)
        return client

    return log_in


@pytest.fixture(scope="session")
def stripe_server():
    with FakeStripe() as server:
        yield server


@pytest.fixture
def stripe(stripe_server, settings):
    """Payments go to a Stripe on loopback, which the test moves; its events reach nobody until they are delivered."""
    stripe_server.reset()
    settings.PAYMENTS = "stripe"
    settings.STRIPE_API_BASE = stripe_server.base
    settings.STRIPE_SECRET_KEY = KEY
    settings.STRIPE_WEBHOOK_SECRET = SECRET
    return stripe_server


@pytest.fixture
def ann(db):
    """Somebody who buys for Alice."""
    return get_user_model().objects.create_user("ann@example.com", None)


@pytest.fixture
def heard():
    """`heard(signal)` is a list that fills with what the signal says, until the test is over."""
    with ExitStack() as stack:

        def listen(signal):
            said = []

            def note(sender, signal, **facts):
                said.append(facts)

            stack.enter_context(connected(signal, note))
            return said

        yield listen
