"""A tenant with a wallet, another who must never be touched, and the operator."""

import pytest
from django.contrib.auth import get_user_model

from billing.audit import audit_ledger
from tests.billing.money import an_organisation


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
