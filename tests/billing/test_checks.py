"""The product refuses to start where the ledger could be wrong."""

import pytest

from billing.checks import (
    can_lock,
    checkout_origin_is_one,
    ledger_can_lock,
    seller_tax_code_is_one,
    sign_up_credits_fit,
)

SQLITE = {"ENGINE": "django.db.backends.sqlite3"}


@pytest.mark.parametrize(
    "database",
    [
        {"ENGINE": "django.db.backends.postgresql"},
        SQLITE | {"OPTIONS": {"transaction_mode": "IMMEDIATE"}},
        SQLITE | {"OPTIONS": {"transaction_mode": "exclusive"}},
    ],
)
def test_a_database_that_can_lock_is_accepted(database):
    assert can_lock(database)


@pytest.mark.parametrize("database", [SQLITE, SQLITE | {"OPTIONS": {"transaction_mode": "DEFERRED"}}])
def test_sqlite_without_immediate_transactions_is_refused(database):
    assert not can_lock(database)


def test_our_own_settings_let_the_ledger_lock():
    assert ledger_can_lock() == []


def test_settings_that_do_not_are_an_error(monkeypatch):
    monkeypatch.setattr("billing.checks.can_lock", lambda database: False)
    assert [error.id for error in ledger_can_lock()] == ["billing.E001"]


@pytest.mark.parametrize(("credits", "errors"), [(10**9, []), (10**9 + 1, ["billing.E002"])])
def test_sign_up_credits_beyond_the_largest_movement_are_refused(settings, credits, errors):
    settings.SIGN_UP_CREDITS = credits
    assert [error.id for error in sign_up_credits_fit()] == errors


@pytest.mark.parametrize(
    ("code", "errors"), [("", []), ("998439", []), ("9984", []), ("99", ["billing.E003"]), ("voice", ["billing.E003"])]
)
def test_a_tax_code_that_is_none_is_refused(settings, code, errors):
    settings.SELLER_TAX_CODE = code
    assert [error.id for error in seller_tax_code_is_one()] == errors


@pytest.mark.parametrize(
    ("origin", "errors"),
    [
        ("https://checkout.stripe.com", []),
        ("https://pay.rosewood.example:8443", []),
        ("http://pay.rosewood.example", ["billing.E004"]),
        ("https://pay.rosewood.example/path", ["billing.E004"]),
        ("https://pay.rosewood.example; script-src *", ["billing.E004"]),
    ],
)
def test_only_an_origin_may_widen_where_forms_lead(settings, origin, errors):
    settings.STRIPE_CHECKOUT_ORIGIN = origin
    assert [error.id for error in checkout_origin_is_one()] == errors
