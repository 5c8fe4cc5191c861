"""Whatever got lost between Stripe and us is found, named, and mended when asked; and the audit sees tampering."""

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from billing import ledger, purchases, refunds
from billing.audit import audit_ledger
from billing.models import Purchase, Refund
from billing.reconciliation import reconcile
from tests.billing.money import an_organisation
from tests.billing.paying import credits, start

pytestmark = pytest.mark.django_db


@pytest.fixture
def bob():
    return an_organisation("Bob's Bakery")


@pytest.fixture
def bought(stripe, bob, ann):
    purchase = start(bob, ann)
    stripe.pay(purchase.stripe_checkout_id)
    return purchases.apply_checkout(purchase.stripe_checkout_id)


def differences(**options):
    return [found.problem for found in reconcile(timezone.now() - timedelta(days=1), **options)]


def test_nothing_differs_when_all_was_heard(bought):
    assert differences() == []


def test_a_payment_that_nobody_heard_of_is_found_and_mended(stripe, bob, ann):
    purchase = start(bob, ann)
    stripe.pay(purchase.stripe_checkout_id)
    assert differences() == [f"succeeded, and purchase {purchase.id} is not credited with it"]
    assert credits(bob) == 0
    assert differences(apply=True) == []
    assert credits(bob) == 500


def test_a_refund_that_nobody_heard_of_is_found_and_mended(bought, stripe, bob):
    stripe.refund(bought.stripe_payment_intent_id, 10_000)
    assert differences() == ["is succeeded at Stripe and unknown here"]
    assert differences(apply=True) == []
    assert credits(bob) == 400


def test_a_dispute_that_nobody_heard_of_is_found_and_mended(bought, stripe, bob):
    stripe.dispute(bought.stripe_payment_intent_id, 50_000)
    assert differences() == ["is needs_response at Stripe and unknown here"]
    assert differences(apply=True) == []
    assert credits(bob) == 0


def test_a_credit_without_a_payment_is_found(bought, stripe):
    stripe.objects[bought.stripe_payment_intent_id] |= {"status": "canceled", "amount_received": 0}
    assert differences() == ["is credited here, and at Stripe its payment is canceled with 0"]


def test_a_credit_whose_payment_stripe_does_not_know_is_found(bought, stripe):
    del stripe.objects[bought.stripe_payment_intent_id]
    assert differences() == ["is credited here, and at Stripe: not_at_stripe"]


def test_what_cannot_be_mended_says_so(stripe, bob, ann):
    purchase = start(bob, ann)
    stripe.pay(purchase.stripe_checkout_id, currency="usd")
    assert differences(apply=True)[0].endswith("refused: wrong_currency")
    assert credits(bob) == 0


def test_other_things_sold_on_the_same_account_are_left_alone(stripe):
    payment = stripe._payment(500, "usd", {}, {})
    stripe._receive(payment["id"])
    stripe.refund(payment["id"], 500)
    assert differences() == []


def test_a_free_purchase_has_no_payment_and_that_is_right(stripe, bob, ann):
    purchase = start(bob, ann)
    stripe.pay(purchase.stripe_checkout_id, discount=50_000)
    purchases.apply_checkout(purchase.stripe_checkout_id)
    assert differences() == []


def test_the_command_ends_with_1_while_something_differs(stripe, bob, ann, capsys):
    stripe.pay(start(bob, ann).stripe_checkout_id)
    with pytest.raises(CommandError, match="differ: 1 row"):
        call_command("reconcile_stripe")
    call_command("reconcile_stripe", "--apply")
    assert "agree" in capsys.readouterr().out


@pytest.mark.parametrize("days", ["0", "366"])
def test_the_command_looks_back_a_sensible_time(stripe, days):
    with pytest.raises(CommandError, match="between"):
        call_command("reconcile_stripe", "--days", days)


def test_the_command_says_when_stripe_cannot_be_asked(stripe, settings):
    settings.PAYMENTS = "off"
    with pytest.raises(CommandError, match="PaymentsOff"):
        call_command("reconcile_stripe")


# The audit of purchases, which asks nobody but our own rows.


def found():
    return [(finding.row, finding.problem) for finding in audit_ledger()]


def test_the_audit_finds_a_purchase_that_says_paid_and_brought_nothing(stripe, bob, ann):
    purchase = start(bob, ann)
    Purchase.objects.filter(pk=purchase.pk).update(status="paid", paid_at=timezone.now())
    assert found() == [(f"Purchase {purchase.pk}", "it is paid: 500000000 are due, and its entries moved 0")]


def test_the_audit_finds_a_purchase_that_says_unpaid_and_brought_credits(bought):
    Purchase.objects.filter(pk=bought.pk).update(status="failed", paid_at=None)
    assert [row for row, _ in found()] == [f"Purchase {bought.pk}"]


def test_the_audit_finds_a_refund_that_took_nothing(bought):
    made = refunds.refund(bought, 10_000, reason="Some", actor="olga@example.com")
    Refund.objects.filter(pk=made.pk).update(stripe_refund_id="re_other")
    assert [row for row, _ in found()] == [f"Refund {made.pk}"]


def test_the_audit_finds_credits_of_a_purchase_that_does_not_exist(bob):
    key = "purchase:7f1d1f0e-0000-4000-8000-000000000000"
    entry = ledger.purchase(bob.id, 5, key=key, reference=key, description="")
    assert found() == [(f"Entry {entry.id}", "no purchase brought these credits")]


def test_the_audit_finds_a_purchase_whose_credits_went_to_somebody_else(bought, mallory):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE billing_purchase SET organisation_id = %s", [mallory.id.hex])
    assert f"Purchase {bought.pk}" in [row for row, _ in found()]
