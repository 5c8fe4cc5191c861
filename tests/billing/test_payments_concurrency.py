"""Real threads on one real database: SQLite's file, or PostgreSQL (see test_on_postgresql.py)."""

import pytest

from billing import event_handlers, purchases, refunds
from billing.exceptions import NotRefundable, PaymentError
from billing.models import Entry, Purchase, Refund, StripeEvent
from billing.signals import payment_succeeded
from billing.stripe.webhook import notice_of
from tests.billing.money import an_organisation
from tests.billing.paying import a_bundle, credits, deliver, start
from tests.billing.test_ledger_concurrency import THREADS, at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.db_concurrency]


@pytest.fixture
def bob(db):
    return an_organisation("Bob's Bakery")


@pytest.fixture
def paid(stripe, bob, ann):
    """A purchase that is paid at Stripe, which nobody here knows yet."""
    purchase = start(bob, ann)
    stripe.pay(purchase.stripe_checkout_id)
    return purchase


def entries():
    return Entry.objects.filter(kind="purchase").count()


def test_twenty_deliveries_of_one_event_make_one_entry(stripe, bob, paid):
    heard = []
    payment_succeeded.connect(hear := lambda purchase_id, **_: heard.append(purchase_id))
    answers = at_once(lambda _: deliver(stripe.events[-1]).status_code)
    payment_succeeded.disconnect(hear)
    assert answers == [200] * THREADS
    assert (StripeEvent.objects.get().state, entries(), credits(bob)) == ("handled", 1, 500)
    assert heard == [paid.id]


def test_twenty_workers_with_one_event_make_one_entry(stripe, bob, paid):
    event_handlers.store(notice_of(stripe.events[-1]))
    at_once(lambda _: event_handlers.handle(stripe.events[-1]["id"]))
    assert (StripeEvent.objects.get().state, entries(), credits(bob)) == ("handled", 1, 500)


def test_twenty_events_about_one_checkout_make_one_entry(stripe, bob, paid):
    for _ in range(THREADS - 1):
        stripe.emit("checkout.session.completed", paid.stripe_checkout_id)
    answers = at_once(lambda event: deliver(event).status_code, stripe.events)
    assert answers == [200] * THREADS
    assert (StripeEvent.objects.count(), entries(), credits(bob)) == (THREADS, 1, 500)


def test_returns_webhooks_and_sweeps_that_meet_make_one_entry(stripe, bob, paid):
    ways = [
        lambda: purchases.apply_checkout(paid.stripe_checkout_id),
        lambda: deliver(stripe.events[-1]),
        lambda: purchases.sweep_purchases(paid.next_check_at),
        lambda: purchases.refresh(paid),
    ]
    at_once(lambda number: ways[number % len(ways)]())
    assert (entries(), credits(bob), Purchase.objects.get().status) == (1, 500, "paid")


def test_one_attempt_in_twenty_threads_charges_once(stripe, bob):
    bundle = a_bundle()

    def charge(_):
        return purchases.charge_off_session(bob, bundle, "attempt-1", customer_id="cus_1", payment_method_id="pm_1").id

    assert len(set(at_once(charge))) == 1
    assert len([made for made in stripe.objects.values() if made["object"] == "payment_intent"]) == 1
    assert (entries(), credits(bob)) == (1, 500)


def test_twenty_refunds_at_once_give_back_no_more_than_was_paid(stripe, bob, paid):
    purchases.apply_checkout(paid.stripe_checkout_id)

    def refund(_):
        try:
            return refunds.refund(paid, 20_000, reason="Asked for", actor="olga@example.com").status
        except NotRefundable:
            return "refused"
        except PaymentError as error:
            return error

    results = at_once(refund)
    assert (results.count("succeeded"), results.count("refused")) == (2, THREADS - 2)
    assert (Refund.objects.count(), credits(bob)) == (2, 100)


def test_a_refund_heard_of_twenty_times_at_once_takes_its_credits_once(stripe, bob, paid):
    """Nobody has even heard yet that it was paid: the first to come credits it."""
    stripe.events.clear()
    refund = stripe.refund(stripe.payment_of(paid.stripe_checkout_id), 20_000)
    for _ in range(THREADS - 1):
        stripe.emit("refund.updated", refund["id"])
    at_once(deliver, stripe.events)
    assert (entries(), credits(bob), Refund.objects.get().status) == (1, 300, "succeeded")


def test_a_dispute_and_its_end_that_arrive_together_leave_what_the_end_says(stripe, bob, paid):
    dispute = stripe.dispute(stripe.payment_of(paid.stripe_checkout_id), 50_000)
    stripe.change_dispute(dispute["id"], "won")
    at_once(deliver, stripe.events * 5)
    assert credits(bob) == 500
