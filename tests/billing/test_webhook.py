"""The door that Stripe knocks at: what is let in is kept once, what is not is counted and leaves nothing behind."""

import json
import time

import pytest
from django.test import Client

from billing.models import RefusedDelivery, StripeEvent
from billing.stripe import webhook
from tests.billing.paying import credits, deliver, deliver_body, start
from tests.fakes.stripe_server import FakeStripe

pytestmark = pytest.mark.django_db


@pytest.fixture
def paid(stripe, alice, ann):
    """The event that a checkout of 500 credits was paid."""
    purchase = start(alice, ann)
    stripe.pay(purchase.stripe_checkout_id)
    return stripe.events[-1]


def turned_away(response, reason):
    assert (response.status_code, response.content.decode()) == (400, reason)
    assert not StripeEvent.objects.exists()
    assert RefusedDelivery.objects.get().reason == reason


def test_a_signed_event_is_kept_and_acted_upon(paid, alice):
    assert deliver(paid).status_code == 200
    event = StripeEvent.objects.get()
    assert (event.event_id, event.type, event.state) == (paid["id"], "checkout.session.completed", "handled")
    assert event.object_id == paid["data"]["object"]["id"]
    assert credits(alice) == 500.0001


def test_the_webhook_asks_for_no_csrf_token_and_no_login(paid):
    assert deliver(paid, Client(enforce_csrf_checks=True)).status_code == 200


def test_a_browser_that_looks_gets_nothing(stripe):
    assert Client().get("/billing/stripe/webhook").status_code == 405


def test_an_event_delivered_again_is_answered_and_changes_nothing(paid, alice):
    assert [deliver(paid).status_code for _ in range(3)] == [200, 200, 200]
    assert (StripeEvent.objects.count(), credits(alice)) == (1, 500.0001)


def test_an_event_is_kept_when_no_broker_takes_its_task(paid, alice, monkeypatch):
    monkeypatch.setattr("billing.views.webhook.handle_stripe_event.delay", broken)
    assert deliver(paid).status_code == 200
    assert StripeEvent.objects.get().state == "received"


def broken(*_):
    raise OSError("no broker")


def test_a_delivery_without_a_signature_is_refused(paid):
    turned_away(deliver_body(json.dumps(paid), headers={}), "bad_signature")


@pytest.mark.parametrize(
    "signature", ["", "t=1", "v1=abc", "t=x,v1=abc", "t=1,v1=", "nonsense", "t=1,v0=abc", "," * 5000, "t=\x00,v1=ü"]
)
def test_a_nonsensical_signature_is_refused(paid, signature):
    turned_away(deliver_body(json.dumps(paid), headers={"Stripe-Signature": signature}), "bad_signature")


def test_somebody_elses_signature_is_refused(paid):
    turned_away(deliver(paid, secret="whsec_other"), "bad_signature")


def test_an_empty_secret_lets_nobody_in(paid, settings):
    settings.STRIPE_WEBHOOK_SECRET = ""
    turned_away(deliver(paid, secret=""), "bad_signature")


def test_a_changed_body_is_refused(paid):
    headers = FakeStripe.signed(json.dumps(paid))
    turned_away(deliver_body(json.dumps(paid | {"type": "refund.created"}), headers=headers), "bad_signature")


def test_an_old_delivery_is_refused(paid):
    turned_away(deliver(paid, at=time.time() - webhook.TOLERANCE_S - 60), "too_old")


def test_a_delivery_from_the_future_is_refused(paid):
    turned_away(deliver(paid, at=time.time() + webhook.TOLERANCE_S + 60), "from_the_future")


@pytest.mark.parametrize("minutes", [-4, 4])
def test_clocks_may_differ_a_little(paid, minutes):
    assert deliver(paid, at=time.time() + minutes * 60).status_code == 200


def test_one_of_two_signatures_is_enough_while_the_secret_is_changed(paid):
    body = json.dumps(paid)
    new, old = FakeStripe.signed(body, secret="whsec_new"), FakeStripe.signed(body)
    both = new["Stripe-Signature"] + "," + old["Stripe-Signature"].split(",")[1]
    assert deliver_body(body, headers={"Stripe-Signature": both}).status_code == 200


@pytest.mark.parametrize(
    "body", ["", "{", "[]", "null", "3", '"evt"', "NaN", '{"id": NaN}', '{"a": "\\u0000"}', "[" * 100_000, "9" * 5000]
)
def test_bad_json_is_refused(stripe, body):
    turned_away(deliver_body(body), "bad_json")


def test_bytes_that_are_no_text_are_refused(stripe):
    turned_away(deliver_body(b"\xff\xfe", headers=FakeStripe.signed("")), "bad_signature")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"object": "charge"}, "not_an_event"),
        ({"id": None}, "not_an_event"),
        ({"id": 7}, "not_an_event"),
        ({"type": ""}, "not_an_event"),
        ({"type": {}}, "not_an_event"),
        ({"livemode": True}, "wrong_mode"),
        ({"account": "acct_other"}, "of_another_account"),
    ],
)
def test_what_is_no_event_of_ours_is_refused(paid, changes, reason):
    turned_away(deliver(paid | changes), reason)


def test_a_body_without_end_is_refused(stripe):
    turned_away(deliver_body(" " * (webhook.MAX_BODY_BYTES + 1)), "too_large")


def test_many_refused_deliveries_fill_no_table(paid):
    for number in range(50):
        deliver_body(str(number), headers={})
    assert RefusedDelivery.objects.count() == 1


def test_refusals_are_counted_by_reason(paid):
    deliver_body("{}", headers={})
    deliver(paid, at=1)
    assert set(RefusedDelivery.objects.values_list("reason", "count")) == {("bad_signature", 1), ("too_old", 1)}


def test_an_event_of_a_kind_we_do_not_need_is_kept_and_ignored(stripe):
    event = {"id": "evt_x", "object": "event", "type": "price.created", "livemode": False, "data": {"object": {}}}
    assert deliver(event).status_code == 200
    assert StripeEvent.objects.get().state == "ignored"


def test_an_event_of_a_later_api_version_is_read_by_its_object(paid, alice):
    assert deliver(
        paid | {"api_version": "2031-01-01.future", "data": {"object": {"id": paid["data"]["object"]["id"]}}}
    )
    assert credits(alice) == 500.0001
