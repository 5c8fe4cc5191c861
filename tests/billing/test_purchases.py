"""Buying: what is asked of Stripe, what is done with its answer, and what is refused."""

import pytest

from billing import purchases
from billing.exceptions import (
    BundleNotOnSale,
    KeyReused,
    ObjectRefused,
    PaymentDeclined,
    PaymentNeedsConfirmation,
    PaymentServiceRefused,
    PaymentServiceUnavailable,
    PaymentsOff,
    PurchaseNotFound,
)
from billing.models import Entry, Purchase
from billing.signals import payment_failed, payment_succeeded
from outbox.models import OutboxMessage
from tests.billing.money import an_organisation
from tests.billing.paying import PAGES, a_bundle, credits, start

pytestmark = pytest.mark.django_db


@pytest.fixture
def buyer():
    """An organisation outside India with an empty wallet."""
    organisation = an_organisation("Bob's Bakery")
    organisation.country = "US"
    organisation.save()
    return organisation


@pytest.fixture
def told():
    """The signals that were sent, in order."""
    told = []

    def hear(sender, signal, purchase_id, **_):
        told.append(("paid" if signal is payment_succeeded else "failed", purchase_id))

    for signal in (payment_succeeded, payment_failed):
        signal.connect(hear)
    yield told
    for signal in (payment_succeeded, payment_failed):
        signal.disconnect(hear)


def charge(organisation, key="attempt-1", slug="starter"):
    return purchases.charge_off_session(
        organisation, a_bundle(slug), key, customer_id="cus_1", payment_method_id="pm_1"
    )


def asked(stripe, path):
    """What the last request to this path said."""
    return [form for _, where, form in stripe.requests if where == path][-1]


def test_a_checkout_asks_for_what_is_written_down(stripe, buyer, ann):
    purchase = start(buyer, ann)
    said = asked(stripe, "/v1/checkout/sessions")
    price = said["line_items"]["0"]["price_data"]
    assert (price["unit_amount"], price["currency"], price["tax_behavior"]) == ("500", "usd", "exclusive")
    assert said["metadata"] == {"purchase_id": str(purchase.id), "organisation_id": str(buyer.id)}
    assert said["payment_intent_data"]["metadata"] == said["metadata"]
    assert said["client_reference_id"] == str(purchase.id)
    assert (purchase.price_minor, purchase.currency, purchase.status) == (500, "USD", "created")


def test_a_checkout_asks_for_what_indias_export_rules_need(stripe, buyer, ann):
    start(buyer, ann)
    said = asked(stripe, "/v1/checkout/sessions")
    assert said["billing_address_collection"] == "required"
    assert said["customer_creation"] == "always"
    assert said["payment_intent_data"]["description"] == "Starter: 500 credits"
    assert said["tax_id_collection"]["enabled"] == said["allow_promotion_codes"] == "true"
    assert said["automatic_tax"]["enabled"] == "false"


def test_tax_is_stripes_to_work_out_when_the_operator_says_so(stripe, settings, buyer, ann):
    settings.STRIPE_AUTOMATIC_TAX = True
    start(buyer, ann)
    assert asked(stripe, "/v1/checkout/sessions")["automatic_tax"]["enabled"] == "true"


def test_an_indian_organisation_pays_in_rupees(stripe, buyer, ann):
    buyer.country = "IN"
    assert start(buyer, ann).currency == "INR"


def test_the_card_is_kept_only_when_asked(stripe, buyer, ann):
    start(buyer, ann)
    assert "setup_future_usage" not in asked(stripe, "/v1/checkout/sessions")["payment_intent_data"]
    start(buyer, ann, save_card=True)
    assert asked(stripe, "/v1/checkout/sessions")["payment_intent_data"]["setup_future_usage"] == "off_session"


def test_the_buyer_comes_back_with_the_checkouts_id(stripe, buyer, ann):
    start(buyer, ann)
    returns_to = asked(stripe, "/v1/checkout/sessions")["success_url"]
    assert returns_to == "https://parley.example/paid?checkout={CHECKOUT_SESSION_ID}"


def test_the_way_back_credits_at_once(stripe, buyer, ann, told):
    purchase = start(buyer, ann)
    stripe.pay(purchase.stripe_checkout_id)
    paid = purchases.apply_checkout(purchase.stripe_checkout_id, buyer)
    assert (paid.status, credits(buyer)) == ("paid", 500)
    assert told == [("paid", purchase.id)]


def test_the_way_back_credits_once_however_often_it_is_taken(stripe, buyer, ann, told):
    purchase = start(buyer, ann)
    stripe.pay(purchase.stripe_checkout_id)
    for _ in range(3):
        purchases.apply_checkout(purchase.stripe_checkout_id, buyer)
    assert credits(buyer) == 500
    assert len(told) == 1


def test_who_bought_is_kept_for_the_receipt(stripe, buyer, ann):
    purchase = start(buyer, ann)
    stripe.pay(purchase.stripe_checkout_id, discount=100, tax=72)
    paid = purchases.apply_checkout(purchase.stripe_checkout_id)
    assert (paid.price_minor, paid.discount_minor, paid.tax_minor, paid.amount_minor) == (500, 100, 72, 472)
    assert (paid.buyer_name, paid.buyer_tax_id) == ("Ann Buyer", "29ABCDE1234F2Z5")
    assert paid.buyer_address["country"] == "US"
    assert (paid.stripe_customer_id, paid.stripe_payment_method_id) == ("cus_1", "pm_1")


def test_a_promotion_code_may_make_it_free(stripe, buyer, ann):
    purchase = start(buyer, ann)
    stripe.pay(purchase.stripe_checkout_id, discount=500)
    assert purchases.apply_checkout(purchase.stripe_checkout_id).status == "paid"
    assert credits(buyer) == 500


def test_coming_back_without_having_paid_changes_nothing(stripe, buyer, ann):
    purchase = start(buyer, ann)
    assert purchases.apply_checkout(purchase.stripe_checkout_id).status == "created"
    assert credits(buyer) == 0


def test_a_slow_payment_is_pending_until_the_money_arrives(stripe, buyer, ann, told):
    purchase = start(buyer, ann)
    stripe.pay_later(purchase.stripe_checkout_id)
    assert purchases.apply_checkout(purchase.stripe_checkout_id).status == "pending"
    assert (credits(buyer), told) == (0, [])
    stripe.money_arrives(purchase.stripe_checkout_id)
    assert purchases.apply_checkout(purchase.stripe_checkout_id).status == "paid"
    assert credits(buyer) == 500


def test_a_slow_payment_may_fail(stripe, buyer, ann, told):
    purchase = start(buyer, ann)
    stripe.pay_later(purchase.stripe_checkout_id)
    stripe.money_stays_away(purchase.stripe_checkout_id)
    failed = purchases.apply_checkout(purchase.stripe_checkout_id)
    assert (failed.status, failed.failure, credits(buyer)) == ("failed", "insufficient_funds", 0)
    assert told == [("failed", purchase.id)]


def test_a_page_that_was_left_expires(stripe, buyer, ann):
    purchase = start(buyer, ann)
    stripe.expire(purchase.stripe_checkout_id)
    assert purchases.apply_checkout(purchase.stripe_checkout_id).status == "expired"


def test_the_next_checkout_knows_the_customer(stripe, buyer, ann):
    purchase = start(buyer, ann)
    stripe.pay(purchase.stripe_checkout_id)
    purchases.apply_checkout(purchase.stripe_checkout_id)
    start(buyer, ann)
    said = asked(stripe, "/v1/checkout/sessions")
    assert said["customer"] == "cus_1"
    assert "customer_creation" not in said


def test_a_changed_bundle_changes_no_purchase(stripe, buyer, ann):
    purchase = start(buyer, ann)
    bundle = a_bundle()
    bundle.credits, bundle.is_active = 1, False
    bundle.save()
    stripe.pay(purchase.stripe_checkout_id)
    purchases.apply_checkout(purchase.stripe_checkout_id)
    assert credits(buyer) == 500


def test_no_name_of_a_bundle_keeps_paid_credits_from_being_given(stripe, buyer, ann):
    bundle = a_bundle()
    bundle.name = "St\u200barter\n"
    bundle.save()
    purchase = start(buyer, ann)
    stripe.pay(purchase.stripe_checkout_id)
    assert purchases.apply_checkout(purchase.stripe_checkout_id).status == "paid"


def test_another_organisations_checkout_is_not_found(stripe, buyer, mallory, ann):
    purchase = start(buyer, ann)
    stripe.pay(purchase.stripe_checkout_id)
    with pytest.raises(PurchaseNotFound):
        purchases.apply_checkout(purchase.stripe_checkout_id, mallory)
    assert (credits(buyer), credits(mallory)) == (0, 0.0001)


@pytest.mark.parametrize("checkout_id", ["", "cs_0", "../refunds", "x" * 5000])
def test_a_made_up_checkout_is_not_found_and_not_asked_for(stripe, buyer, ann, checkout_id):
    with pytest.raises(PurchaseNotFound):
        purchases.apply_checkout(checkout_id)
    assert stripe.requests == []


def refused(purchase):
    with pytest.raises(ObjectRefused) as refusal:
        purchases.apply_checkout(purchase.stripe_checkout_id)
    purchase.refresh_from_db()
    assert (purchase.status, purchase.failure) == ("created", refusal.value.reason)
    assert credits(purchase.organisation) == 0
    return refusal.value.reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"currency": "inr"}, "wrong_currency"),
        ({"amount_subtotal": 1, "amount_total": 1}, "wrong_amount"),
        ({"amount_subtotal": 50_000, "amount_total": 50_000}, "wrong_amount"),
        ({"amount_total": 1}, "amounts_do_not_add_up"),
        ({"amount_total": "500"}, "malformed"),
        ({"amount_total": 500.0}, "malformed"),
        ({"amount_subtotal": -500, "amount_total": -500}, "malformed"),
        ({"payment_intent": None}, "no_payment"),
    ],
)
def test_a_checkout_that_is_not_what_we_sold_is_refused(stripe, buyer, ann, changes, reason):
    purchase = start(buyer, ann)
    stripe.pay(purchase.stripe_checkout_id, **changes)
    with pytest.raises(ObjectRefused) as refusal:
        purchases.apply_checkout(purchase.stripe_checkout_id)
    assert refusal.value.reason == reason
    assert credits(buyer) == 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"amount_received": 499}, "wrong_amount"),
        ({"amount": 1, "amount_received": 1}, "wrong_amount"),
        ({"currency": "inr"}, "wrong_currency"),
        ({"status": "processing"}, "wrong_amount"),
        ({"metadata": {}}, "not_ours"),
    ],
)
def test_a_payment_that_is_not_what_we_asked_for_is_refused(stripe, buyer, ann, changes, reason):
    purchase = start(buyer, ann)
    stripe.pay(purchase.stripe_checkout_id)
    stripe.objects[stripe.payment_of(purchase.stripe_checkout_id)].update(changes)
    assert refused(purchase) == reason


def test_a_checkout_pays_for_one_purchase_only(stripe, buyer, ann):
    cheap, dear = start(buyer, ann), start(buyer, ann, "huge")
    stripe.pay(cheap.stripe_checkout_id)
    stripe.objects[cheap.stripe_checkout_id]["metadata"] = {"purchase_id": str(dear.id)}
    with pytest.raises(ObjectRefused):
        purchases.apply_checkout(cheap.stripe_checkout_id)
    assert credits(buyer) == 0


def test_what_is_not_on_sale_cannot_be_bought(stripe, buyer, ann):
    bundle = a_bundle()
    bundle.is_active = False
    bundle.save()
    with pytest.raises(BundleNotOnSale):
        purchases.start_checkout(buyer, bundle, ann, **PAGES)
    assert not Purchase.objects.exists()


def test_nothing_is_sold_where_payments_are_off(stripe, settings, buyer, ann):
    settings.PAYMENTS = "off"
    with pytest.raises(PaymentsOff):
        start(buyer, ann)


def test_a_refused_checkout_says_why(stripe, buyer, ann):
    stripe.failures = [(400, {"error": {"type": "invalid_request_error", "code": "amount_too_small"}})]
    with pytest.raises(PaymentServiceRefused):
        start(buyer, ann)
    assert Purchase.objects.get().failure == "amount_too_small"


@pytest.mark.parametrize("status", [500, 503, 401, 403, 429])
def test_a_stripe_that_is_away_is_an_error_that_says_so(stripe, buyer, ann, status, monkeypatch):
    monkeypatch.setattr("stripe.HTTPClient.MAX_DELAY", 0)
    monkeypatch.setattr("stripe.HTTPClient.INITIAL_DELAY", 0)
    stripe.failures = [(status, {"error": {"type": "api_error", "message": "to ann@example.com"}})] * 3
    with pytest.raises(PaymentServiceUnavailable) as error:
        start(buyer, ann)
    assert "ann" not in str(error.value)


def test_a_live_key_is_never_sent_anywhere_but_to_stripe(stripe, settings, buyer, ann):
    settings.STRIPE_SECRET_KEY = "sk_live_1"
    with pytest.raises(PaymentServiceRefused):
        start(buyer, ann)
    assert stripe.requests == []


# A saved card, charged while its holder is away.


def test_a_saved_card_buys_at_once(stripe, buyer, told):
    purchase = charge(buyer)
    assert (purchase.status, purchase.origin, credits(buyer)) == ("paid", "auto_top_up", 500)
    assert told == [("paid", purchase.id)]
    assert asked(stripe, "/v1/payment_intents")["off_session"] == "true"


def test_one_attempt_charges_once(stripe, buyer):
    assert charge(buyer).id == charge(buyer).id
    assert credits(buyer) == 500
    assert len([made for made in stripe.objects.values() if made["object"] == "payment_intent"]) == 1


def test_an_attempts_key_stands_for_one_organisation_and_bundle(stripe, buyer, mallory):
    charge(buyer)
    with pytest.raises(KeyReused):
        charge(mallory)
    with pytest.raises(KeyReused):
        charge(buyer, slug="small")


def test_a_declined_card_buys_nothing_and_is_not_tried_again_under_the_same_key(stripe, buyer, told):
    stripe.card = "card_declined"
    for _ in range(2):
        with pytest.raises(PaymentDeclined) as declined:
            charge(buyer)
        assert declined.value.code == "card_declined"
    assert credits(buyer) == 0
    assert told == [("failed", declined.value.purchase_id)]
    assert len([where for _, where, _ in stripe.requests if where == "/v1/payment_intents"]) == 1


def test_a_bank_that_wants_its_customer_says_so(stripe, buyer):
    stripe.card = "authentication_required"
    with pytest.raises(PaymentNeedsConfirmation):
        charge(buyer)
    with pytest.raises(PaymentNeedsConfirmation):
        charge(buyer)
    assert Purchase.objects.get().status == "failed"


def test_a_card_that_is_gone_counts_as_declined(stripe, buyer):
    stripe.failures = [(404, {"error": {"type": "invalid_request_error", "code": "resource_missing"}})]
    with pytest.raises(PaymentDeclined):
        charge(buyer)


def test_a_charge_whose_answer_was_lost_is_found_by_the_sweep(stripe, buyer, monkeypatch):
    with monkeypatch.context() as lost:
        lost.setattr("billing.purchases.settle_payment", dies)
        with pytest.raises(KeyboardInterrupt):
            charge(buyer)
    purchase = Purchase.objects.get()
    assert (purchase.status, credits(buyer)) == ("created", 0)
    assert purchases.sweep_purchases(purchase.next_check_at) == 1
    assert credits(buyer) == 500


def test_a_charge_whose_answer_was_lost_may_be_tried_again(stripe, buyer, monkeypatch):
    with monkeypatch.context() as lost:
        lost.setattr("billing.purchases.settle_payment", dies)
        with pytest.raises(KeyboardInterrupt):
            charge(buyer)
    charge(buyer)
    assert credits(buyer) == 500
    assert len([made for made in stripe.objects.values() if made["object"] == "payment_intent"]) == 1


def test_a_key_that_stripe_has_forgotten_is_not_used_again(stripe, buyer, monkeypatch):
    with monkeypatch.context() as lost:
        lost.setattr("billing.purchases.settle_payment", dies)
        with pytest.raises(KeyboardInterrupt):
            charge(buyer)
    stripe.answers.clear()
    purchase = Purchase.objects.get()
    Purchase.objects.update(created_at=purchase.created_at - purchases.REPEATABLE_FOR)
    charge(buyer)
    assert credits(buyer) == 500
    assert len([made for made in stripe.objects.values() if made["object"] == "payment_intent"]) == 1


def test_a_charge_that_was_never_made_is_given_up(stripe, buyer, monkeypatch):
    with monkeypatch.context() as lost:
        lost.setattr("billing.stripe.payments.charge_saved_card", dies)
        with pytest.raises(KeyboardInterrupt):
            charge(buyer)
    purchase = Purchase.objects.get()
    purchases.refresh(purchase)
    assert Purchase.objects.get().status == "created", "its first request may still be on its way"
    purchase.created_at -= purchases.REPEATABLE_FOR
    assert purchases.refresh(purchase).failure == "never_charged"


def dies(*_, **__):
    raise KeyboardInterrupt


# What nobody reported.


def test_a_payment_that_nobody_reported_is_found_by_the_sweep(stripe, buyer, ann):
    purchase = start(buyer, ann)
    stripe.pay(purchase.stripe_checkout_id)
    assert purchases.sweep_purchases(purchase.created_at) == 0
    assert purchases.sweep_purchases(purchase.next_check_at) == 1
    assert credits(buyer) == 500
    assert Purchase.objects.get().next_check_at is None


def test_the_sweep_asks_less_and_less_often(stripe, buyer, ann):
    purchase = start(buyer, ann)
    waits = []
    for _ in range(40):
        now = Purchase.objects.get().next_check_at
        if now is None:
            break
        purchases.sweep_purchases(now)
        later = Purchase.objects.get().next_check_at
        waits.append(later - now if later else None)
    assert waits[0] == purchases.FIRST_CHECK
    assert max(wait for wait in waits if wait) <= purchases.LONGEST_CHECK
    assert purchase.status == "created"


def test_one_purchase_that_fails_does_not_keep_the_sweep_from_the_others(stripe, buyer, ann):
    broken, fine = start(buyer, ann), start(buyer, ann, "small")
    del stripe.objects[broken.stripe_checkout_id]
    stripe.pay(fine.stripe_checkout_id)
    assert purchases.sweep_purchases(fine.next_check_at) == 2
    assert credits(buyer) == 2000


def test_a_checkout_that_was_never_opened_expires_after_a_day(stripe, buyer, ann, monkeypatch):
    with monkeypatch.context() as lost:
        lost.setattr("billing.stripe.checkout.create_checkout", dies)
        with pytest.raises(KeyboardInterrupt):
            start(buyer, ann)
    purchase = Purchase.objects.get()
    assert purchases.refresh(purchase).status == "created"
    purchase.created_at -= purchases.REPEATABLE_FOR
    assert purchases.refresh(purchase).status == "expired"


def test_a_receiver_that_fails_undoes_no_payment(stripe, buyer, ann):
    def fail(**_):
        Entry.objects.get(key="there is none")

    payment_succeeded.connect(fail)
    try:
        purchase = start(buyer, ann)
        stripe.pay(purchase.stripe_checkout_id)
        purchases.apply_checkout(purchase.stripe_checkout_id)
    finally:
        payment_succeeded.disconnect(fail)
    assert credits(buyer) == 500


def test_a_receiver_that_fails_keeps_no_other_from_writing(stripe, buyer, ann):
    def write_and_fail(**_):
        OutboxMessage.objects.create(kind="theirs", key="theirs", payload={})
        raise ValueError

    def write(**_):
        OutboxMessage.objects.create(kind="ours", key="ours", payload={})

    for each in (write_and_fail, write):
        payment_succeeded.connect(each)
    try:
        purchase = start(buyer, ann)
        stripe.pay(purchase.stripe_checkout_id)
        purchases.apply_checkout(purchase.stripe_checkout_id)
    finally:
        for each in (write_and_fail, write):
            assert payment_succeeded.disconnect(each)
    kept = OutboxMessage.objects.filter(kind__in=["theirs", "ours"])
    assert list(kept.values_list("kind", flat=True)) == ["ours"]
