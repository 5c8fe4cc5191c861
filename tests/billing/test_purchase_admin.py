"""The operator's pages of what is sold: bundles are edited, purchases refunded after a question, events replayed."""

import re
import uuid

import pytest
from django.urls import reverse

from billing import purchases
from billing.models import (
    Bundle,
    BundlePrice,
    CreditNote,
    Dispute,
    Purchase,
    Receipt,
    Refund,
    RefusedDelivery,
    StripeEvent,
)
from tests.billing.money import an_organisation
from tests.billing.office import assert_listed_and_shown, assert_only_shown, listing, page, text
from tests.billing.paying import a_bundle, credits, deliver, deliver_body, start

pytestmark = pytest.mark.django_db

READ_ONLY = [Purchase, Refund, Dispute, StripeEvent, RefusedDelivery, Receipt, CreditNote]


@pytest.fixture
def bob():
    return an_organisation("Bob's Bakery")


@pytest.fixture
def bought(stripe, bob, ann):
    purchase = start(bob, ann)
    stripe.pay(purchase.stripe_checkout_id)
    return purchases.apply_checkout(purchase.stripe_checkout_id)


@pytest.fixture
def busy(stripe, bought):
    """Something on every page."""
    stripe.refund(bought.stripe_payment_intent_id, 10_000)
    stripe.dispute(bought.stripe_payment_intent_id, 10_000)
    for event in stripe.events:
        deliver(event)
    deliver_body("{}", headers={})
    return bought


def refunding(purchase):
    return reverse("admin:billing_purchase_refund", args=[purchase.pk])


@pytest.mark.parametrize("model", READ_ONLY)
def test_every_list_and_every_row_has_a_page(office, busy, model):
    assert_listed_and_shown(office, model)


@pytest.mark.parametrize("model", READ_ONLY)
def test_nothing_about_money_can_be_added_changed_or_deleted(office, busy, model):
    assert_only_shown(office, model)


@pytest.mark.parametrize("field", ["stripe_checkout_id", "stripe_payment_intent_id", "id", "buyer_email"])
def test_a_purchase_is_found_by_any_of_its_ids(office, busy, field):
    assert page(busy) in text(office.get(listing(Purchase), {"q": getattr(busy, field)}))
    assert page(busy) not in text(office.get(listing(Purchase), {"q": "Mallory"}))


def test_a_purchases_page_shows_its_refunds_and_disputes(office, busy):
    shown = text(office.get(page(busy)))
    for words in ["500.00 INR", "100.00 INR", "Succeeded", "Open: the money is withdrawn", "Ann Buyer"]:
        assert words in shown


def bundle_form(bundle, **changes):
    prices = list(bundle.prices.all())
    form = {
        "slug": bundle.slug, "name": bundle.name, "credits": bundle.credits, "sort": 0, "is_active": "on",
        "valid_from_0": "2026-01-01", "valid_from_1": "00:00", "valid_until_0": "", "valid_until_1": "",
        "prices-TOTAL_FORMS": len(prices), "prices-INITIAL_FORMS": len(prices),
    }  # fmt: skip
    for number, price in enumerate(prices):
        form |= {f"prices-{number}-id": price.pk, f"prices-{number}-bundle": bundle.pk}
        form |= {f"prices-{number}-currency": price.currency, f"prices-{number}-amount_minor": price.amount_minor}
    return form | changes


def test_the_operator_changes_a_bundle_and_its_prices(office, db):
    bundle = a_bundle()
    assert office.post(page(bundle), bundle_form(bundle, name="First", **{"prices-0-amount_minor": 45_000}))
    bundle.refresh_from_db()
    assert bundle.name == "First"
    assert BundlePrice.objects.get(bundle=bundle, currency="INR").amount_minor == 45_000


@pytest.mark.parametrize(
    "changes",
    [
        {"credits": 0},
        {"prices-0-amount_minor": 49},
        {"prices-1-amount_minor": 1_000_001},
        {"prices-0-currency": "EUR"},
        {"prices-1-currency": "INR"},
        {"valid_until_0": "2025-01-01", "valid_until_1": "00:00"},
    ],
)
def test_a_bundle_that_makes_no_sense_is_refused_on_the_form(office, db, changes):
    bundle = a_bundle()
    assert "errorlist" in text(office.post(page(bundle), bundle_form(bundle, **changes)))
    assert Bundle.objects.get(pk=bundle.pk).credits == 500


def test_a_bundle_that_was_bought_cannot_be_deleted(office, bought):
    url = reverse("admin:billing_bundle_delete", args=[bought.bundle_id])
    assert "Cannot delete bundle" in text(office.get(url))


def a_refund(office, purchase, **fields):
    form = {"amount": "100.00", "reason": "Bought too much", "key": str(uuid.uuid4())} | fields
    return office.post(refunding(purchase), form)


def test_refunding_starts_with_all_that_is_left(office, bought):
    shown = text(office.get(refunding(bought)))
    assert 'value="500.00"' in shown
    assert "500.00 INR of it can be refunded" in shown


def test_the_form_first_asks_and_says_what_the_wallet_will_have(office, bought, bob):
    asked = text(a_refund(office, bought))
    assert "100.00 INR" in asked
    assert "400.00" in asked
    assert 'name="confirmed"' in asked
    assert credits(bob) == 500


def test_a_confirmed_refund_is_sent_and_says_who_and_why(office, bought, bob):
    assert a_refund(office, bought, confirmed="yes").url == page(bought)
    made = Refund.objects.get()
    assert (made.status, made.reason, made.actor) == ("succeeded", "Bought too much", "olga@example.com")
    assert credits(bob) == 400


def test_a_refund_sent_twice_is_made_once(office, bought, bob):
    key = str(uuid.uuid4())
    for _ in range(2):
        assert a_refund(office, bought, confirmed="yes", key=key, amount="500").status_code == 302
    assert (Refund.objects.count(), credits(bob)) == (1, 0)


def test_a_refund_that_stripe_refuses_says_why(office, bought, stripe, bob):
    stripe.failures = [(400, {"error": {"type": "invalid_request_error", "code": "charge_disputed"}})]
    shown = text(a_refund(office, bought, confirmed="yes"))
    assert "charge_disputed" in shown
    assert 'name="confirmed"' not in shown
    assert credits(bob) == 500


@pytest.mark.parametrize(
    "fields",
    [
        {"amount": "500.01"},
        {"amount": "0"},
        {"amount": "-1"},
        {"amount": "0.001"},
        {"amount": "NaN"},
        {"amount": ""},
        {"reason": ""},
        {"reason": "a\tb"},
        {"reason": "x" * 301},
        {"key": "nonsense"},
    ],
)
def test_a_form_that_makes_no_sense_refunds_nothing(office, bought, bob, fields):
    assert "errorlist" in text(a_refund(office, bought, confirmed="yes", **fields))
    assert (Refund.objects.count(), credits(bob)) == (0, 500)


def test_refunding_needs_a_permission_of_its_own(clerk_with, bought):
    client = clerk_with("view_purchase")
    assert refunding(bought) not in text(client.get(page(bought)))
    assert client.get(refunding(bought)).status_code == 403
    assert a_refund(client, bought, confirmed="yes").status_code == 403


def test_strangers_are_sent_to_the_door(client, bought, bob):
    assert a_refund(client, bought, confirmed="yes").status_code == 302
    assert credits(bob) == 500


def test_what_was_not_paid_shows_no_way_to_refund_it(office, stripe, bob, ann):
    purchase = start(bob, ann)
    assert refunding(purchase) not in text(office.get(page(purchase)))


def test_refused_events_are_seen_and_replayed(office, stripe, bob, ann):
    purchase = start(bob, ann)
    stripe.pay(purchase.stripe_checkout_id, currency="usd")
    deliver(stripe.events[-1])
    assert "wrong_currency" in text(office.get(listing(StripeEvent), {"state": "refused"}))
    stripe.objects[purchase.stripe_checkout_id]["currency"] = "inr"
    event = StripeEvent.objects.get()
    action = {"action": "replay", "_selected_action": [event.pk]}
    assert "1 of 1 done" in text(office.post(listing(StripeEvent), action, follow=True))
    assert credits(bob) == 500


def test_replaying_needs_a_permission_of_its_own(clerk_with, busy):
    client = clerk_with("view_stripeevent")
    assert "Act upon these again" not in text(client.get(listing(StripeEvent)))


def test_our_pages_hold_no_inline_script_or_style(office, busy):
    """The content security policy would switch them off."""
    for url in [page(busy), refunding(busy)]:
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text(office.get(url)))


def test_what_a_buyer_wrote_is_shown_as_text(office, busy):
    Purchase.objects.update(buyer_name="<script>alert(1)</script>", buyer_address={"city": "<b>bold</b>"})
    for url in [page(busy), listing(Purchase), refunding(busy)]:
        shown = text(office.get(url))
        assert "<script>alert" not in shown
        assert "<b>bold" not in shown
