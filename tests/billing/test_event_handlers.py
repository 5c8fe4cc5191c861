"""Events become movements of a wallet: whatever their order, however often, and whoever dies in between."""

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from billing import event_handlers, purchases, refunds
from billing.event_handlers import handle, replay, sweep
from billing.exceptions import NotRefundable
from billing.ledger import MICRO
from billing.models import Dispute, Entry, Purchase, Refund, StripeEvent
from tests.billing.dying import DyingAt, Killed
from tests.billing.money import an_organisation
from tests.billing.paying import credits, deliver, start

pytestmark = pytest.mark.django_db


@pytest.fixture
def bob():
    """An organisation with an empty wallet."""
    return an_organisation("Bob's Bakery")


@pytest.fixture
def bought(stripe, bob, ann):
    """Bob's paid purchase: 500 credits for 500.00 rupees."""
    purchase = start(bob, ann)
    stripe.pay(purchase.stripe_checkout_id)
    return purchases.apply_checkout(purchase.stripe_checkout_id)


@pytest.fixture
def at_once(monkeypatch):
    """The library waits before it asks a failing Stripe again; tests do not."""
    monkeypatch.setattr("stripe.HTTPClient.MAX_DELAY", 0)
    monkeypatch.setattr("stripe.HTTPClient.INITIAL_DELAY", 0)


def deliver_all(stripe):
    for event in stripe.events:
        assert deliver(event).status_code == 200


def states():
    return set(StripeEvent.objects.values_list("state", flat=True))


def away(times=3):
    """What a Stripe that is away answers, to a request and its two repeats."""
    return [(503, {"error": {"type": "api_error"}})] * times


# One test for each way in which others lost money (facts of the field, items 5, 6 and 8).


def test_a_webhook_delivered_twice_credits_once(stripe, bob, ann):
    stripe.pay(start(bob, ann).stripe_checkout_id)
    deliver_all(stripe)
    deliver_all(stripe)
    assert credits(bob) == 500


def test_a_webhook_is_not_marked_done_before_the_credit(stripe, bob, ann, monkeypatch):
    """The worker dies at the credit: the event is still to be done, and the repeat is not dropped."""
    stripe.pay(start(bob, ann).stripe_checkout_id)
    with monkeypatch.context() as dying:
        dying.setattr("billing.ledger.purchase", dies)
        with pytest.raises(KeyboardInterrupt):
            deliver(stripe.events[-1])
    assert (states(), credits(bob)) == ({"received"}, 0)
    sweep(timezone.now() + timedelta(minutes=5))
    assert (states(), credits(bob)) == ({"handled"}, 500)


def dies(*_, **__):
    raise KeyboardInterrupt


def test_a_webhook_whose_handling_failed_is_not_lost(stripe, bob, ann, at_once):
    stripe.pay(start(bob, ann).stripe_checkout_id)
    stripe.failures = away()
    assert deliver(stripe.events[-1]).status_code == 200
    assert (states(), credits(bob)) == ({"failed"}, 0)
    assert "PaymentServiceUnavailable" in StripeEvent.objects.get().error
    sweep(timezone.now() + timedelta(minutes=5))
    assert (states(), credits(bob)) == ({"handled"}, 500)


def test_the_redirect_and_the_webhook_together_credit_once(stripe, bob, ann):
    purchase = start(bob, ann)
    stripe.pay(purchase.stripe_checkout_id)
    purchases.apply_checkout(purchase.stripe_checkout_id)
    deliver_all(stripe)
    purchases.apply_checkout(purchase.stripe_checkout_id)
    assert credits(bob) == 500


def test_a_completed_checkout_that_is_not_paid_yet_credits_nothing(stripe, bob, ann):
    stripe.pay_later(start(bob, ann).stripe_checkout_id)
    deliver_all(stripe)
    assert (Purchase.objects.get().status, credits(bob)) == ("pending", 0)


def test_an_automatic_top_up_that_stalls_on_3d_secure_credits_nothing(stripe, bob, ann):
    from tests.billing.test_purchases import charge

    stripe.card = "authentication_required"
    with pytest.raises(purchases.PaymentNeedsConfirmation):
        charge(bob)
    deliver_all(stripe)
    assert (Purchase.objects.get().failure, credits(bob)) == ("authentication_required", 0)


def test_an_automatic_top_up_whose_worker_died_is_credited_by_its_webhook_once(stripe, bob, monkeypatch):
    from tests.billing.test_purchases import charge

    with monkeypatch.context() as dying:
        dying.setattr("billing.purchases.settle_payment", dies)
        with pytest.raises(KeyboardInterrupt):
            charge(bob)
    deliver_all(stripe)
    charge(bob)
    assert credits(bob) == 500


def test_a_refund_of_bought_credits_does_not_take_granted_ones_first(stripe, alice, ann):
    """Credits given at sign-up are nobody's money: buying and taking the money back wins nothing."""
    purchase = start(alice, ann)
    stripe.pay(purchase.stripe_checkout_id)
    deliver_all(stripe)
    stripe.refund(stripe.payment_of(purchase.stripe_checkout_id), 50_000)
    deliver_all(stripe)
    assert credits(alice) == 0.0001


# Refunds.


def test_a_refund_takes_its_credits_back(bought, stripe, bob):
    made = refunds.refund(bought, 20_000, reason="Bought too much", actor="olga@example.com")
    assert (made.status, made.credits_micro, credits(bob)) == ("succeeded", 200 * MICRO, 300)
    bought.refresh_from_db()
    assert (bought.status, bought.refunded_minor) == ("partly_refunded", 20_000)
    deliver_all(stripe)
    assert credits(bob) == 300


def test_a_refund_of_all_takes_all(bought, bob):
    refunds.refund(bought, 50_000, reason="Changed their mind", actor="olga@example.com")
    bought.refresh_from_db()
    assert (bought.status, credits(bob)) == ("refunded", 0)


def test_a_refund_made_at_stripe_takes_its_credits_back_too(bought, stripe, bob):
    stripe.refund(bought.stripe_payment_intent_id, 10_000)
    deliver_all(stripe)
    assert credits(bob) == 400
    assert Refund.objects.get().stripe_refund_id


def test_a_refund_may_take_the_wallet_below_zero(bought, stripe, bob):
    from billing import ledger

    ledger.adjust(bob.id, -400 * MICRO, key="used", reason="Used", actor="test")
    refunds.refund(bought, 50_000, reason="Fraud", actor="olga@example.com")
    assert credits(bob) == -400


def test_a_refund_that_fails_gives_the_credits_back(bought, stripe, bob):
    made = stripe.refund(bought.stripe_payment_intent_id, 50_000, status="pending")
    deliver_all(stripe)
    assert credits(bob) == 0
    stripe.change_refund(made["id"], "failed")
    deliver_all(stripe)
    assert (credits(bob), Purchase.objects.get().status) == (500, "paid")


def test_a_refund_that_failed_stays_failed_whatever_older_news_says(bought, stripe, bob):
    made = stripe.refund(bought.stripe_payment_intent_id, 50_000, status="pending")
    deliver_all(stripe)
    old = refunds.payments.fetch_refund(made["id"])
    stripe.change_refund(made["id"], "failed")
    deliver_all(stripe)
    refunds.settle_refund(bought.id, old)
    assert (credits(bob), Refund.objects.get().status, Purchase.objects.get().status) == (500, "failed", "paid")


def test_no_more_is_refunded_than_was_paid(bought, bob):
    refunds.refund(bought, 30_000, reason="Some", actor="olga@example.com")
    for amount_minor in (20_001, 0, -1):
        with pytest.raises(NotRefundable) as refusal:
            refunds.refund(bought, amount_minor, reason="More", actor="olga@example.com")
        assert refusal.value.refundable_minor == 20_000


def test_what_was_not_paid_is_not_refunded(stripe, bob, ann):
    with pytest.raises(NotRefundable):
        refunds.refund(start(bob, ann), 1, reason="Why not", actor="olga@example.com")


def test_a_refund_asked_for_twice_with_one_key_is_one(bought, stripe, bob):
    key = bought.id
    for _ in range(2):
        refunds.refund(bought, 10_000, reason="Some", actor="olga@example.com", key=key)
    assert (Refund.objects.count(), credits(bob)) == (1, 400)


def test_a_refund_that_stripe_refuses_takes_nothing_and_says_why(bought, stripe, bob):
    stripe.failures = [(400, {"error": {"type": "invalid_request_error", "code": "charge_disputed"}})]
    with pytest.raises(purchases.PaymentServiceRefused):
        refunds.refund(bought, 10_000, reason="Some", actor="olga@example.com")
    assert (Refund.objects.get().failure, credits(bob)) == ("charge_disputed", 500)
    assert refunds.refundable_minor(bought) == 50_000


def test_a_refund_whose_sender_died_is_sent_once(bought, stripe, bob, monkeypatch):
    with monkeypatch.context() as dying:
        dying.setattr("billing.refunds.settle_refund", dies)
        with pytest.raises(KeyboardInterrupt):
            refunds.refund(bought, 10_000, reason="Some", actor="olga@example.com")
    # Stripe has made it, and forgotten the key: only looking tells.
    stripe.answers.clear()
    assert refunds.send_requested_refunds(timezone.now() + timedelta(hours=1)) == 1
    assert (Refund.objects.get().status, credits(bob)) == ("succeeded", 400)
    assert len([made for made in stripe.objects.values() if made["object"] == "refund"]) == 1


def test_a_refund_that_found_stripe_away_is_sent_later(bought, stripe, bob, at_once):
    stripe.failures = away()
    with pytest.raises(purchases.PaymentError):
        refunds.refund(bought, 10_000, reason="Some", actor="olga@example.com")
    assert credits(bob) == 500
    refunds.send_requested_refunds(timezone.now() + timedelta(hours=1))
    assert credits(bob) == 400


def test_the_smallest_refunds_never_take_more_than_there_was(stripe, bob, ann):
    """A third of the price three times: at most a millionth of a credit stays each time."""
    purchase = start(bob, ann)
    stripe.pay(purchase.stripe_checkout_id, tax=1)
    deliver_all(stripe)
    for _ in range(3):
        stripe.refund(stripe.payment_of(purchase.stripe_checkout_id), 16_667)
    deliver_all(stripe)
    assert 0 <= credits(bob) * MICRO <= 3


# Disputes.


def test_a_dispute_takes_the_credits_and_a_won_one_brings_them_back(bought, stripe, bob):
    dispute = stripe.dispute(bought.stripe_payment_intent_id, 50_000)
    deliver_all(stripe)
    assert (credits(bob), Purchase.objects.get().status) == (0, "disputed")
    stripe.change_dispute(dispute["id"], "won")
    deliver_all(stripe)
    assert (credits(bob), Purchase.objects.get().status) == (500, "paid")


def test_a_lost_dispute_keeps_the_credits(bought, stripe, bob):
    dispute = stripe.dispute(bought.stripe_payment_intent_id, 50_000)
    deliver_all(stripe)
    stripe.change_dispute(dispute["id"], "lost")
    deliver_all(stripe)
    assert (credits(bob), Dispute.objects.get().status) == (0, "lost")


def test_an_inquiry_takes_nothing_until_it_becomes_a_dispute(bought, stripe, bob):
    dispute = stripe.dispute(bought.stripe_payment_intent_id, 10_000, status="warning_needs_response")
    deliver_all(stripe)
    assert (credits(bob), Purchase.objects.get().status) == (500, "paid")
    stripe.objects[dispute["id"]]["amount"] = 20_000
    stripe.change_dispute(dispute["id"], "needs_response")
    deliver_all(stripe)
    assert credits(bob) == 300


def test_a_dispute_in_another_currency_puts_all_at_stake(bought, stripe, bob):
    stripe.dispute(bought.stripe_payment_intent_id, 6, currency="usd")
    deliver_all(stripe)
    assert credits(bob) == 0


def test_news_that_was_fetched_before_newer_news_changes_nothing(bought, stripe, bob):
    dispute = stripe.dispute(bought.stripe_payment_intent_id, 50_000)
    old = refunds.payments.fetch_dispute(dispute["id"])
    stripe.change_dispute(dispute["id"], "won")
    deliver_all(stripe)
    refunds.settle_dispute(bought.id, old)
    assert credits(bob) == 500


# What is refused is kept, and seen.


def only_event():
    return StripeEvent.objects.get().state, StripeEvent.objects.get().error


def test_an_object_of_somebody_elses_is_refused(stripe, bob):
    session = stripe._add("cs", "checkout.session", status="complete", payment_status="paid", metadata={})
    session |= {"currency": "inr", "amount_total": 5, "amount_subtotal": 5}
    deliver(stripe.emit("checkout.session.completed", session["id"]))
    assert only_event() == ("refused", "not_ours")


def test_an_event_about_an_object_that_stripe_does_not_know_is_refused(stripe):
    event = {"id": "evt_x", "object": "event", "type": "refund.created", "data": {"object": {"id": "re_nope"}}}
    deliver(event)
    assert only_event() == ("refused", "not_at_stripe")


def test_a_wrong_amount_is_refused_and_written_on_the_purchase(stripe, bob, ann):
    purchase = start(bob, ann)
    stripe.pay(purchase.stripe_checkout_id, amount_subtotal=1, amount_total=1)
    deliver_all(stripe)
    assert only_event() == ("refused", "wrong_amount")
    assert (Purchase.objects.get().failure, credits(bob)) == ("wrong_amount", 0)


def test_a_refund_of_what_was_never_credited_is_refused(stripe, bob, ann):
    purchase = start(bob, ann)
    stripe.pay(purchase.stripe_checkout_id, currency="usd")
    payment_id = stripe.payment_of(purchase.stripe_checkout_id)
    stripe.events.clear()
    stripe.refund(payment_id, 5)
    deliver_all(stripe)
    assert only_event() == ("refused", "wrong_currency")
    assert credits(bob) == 0


def test_a_refund_of_somebody_elses_payment_is_refused(bought, stripe, bob):
    payment = stripe._payment(500, "usd", {}, {})
    stripe.refund(payment["id"], 500)
    deliver(stripe.events[-1])
    assert only_event() == ("refused", "not_ours")
    assert credits(bob) == 500


def test_a_refused_event_stays_refused_until_somebody_replays_it(stripe, bob, ann):
    purchase = start(bob, ann)
    stripe.pay(purchase.stripe_checkout_id, currency="usd")
    deliver_all(stripe)
    stripe.objects[purchase.stripe_checkout_id]["currency"] = "inr"
    sweep(timezone.now() + timedelta(days=1))
    assert only_event() == ("refused", "wrong_currency")
    assert replay(StripeEvent.objects.get().event_id).state == "handled"
    assert credits(bob) == 500


def test_an_event_is_given_up_after_three_days_of_trying(stripe, at_once, bob, ann):
    stripe.pay(start(bob, ann).stripe_checkout_id)
    stripe.failures = away(1000)
    deliver_all(stripe)
    began = now = timezone.now()
    while (due := StripeEvent.objects.get().next_attempt_at) is not None:
        wait = due - timezone.now()
        assert wait <= event_handlers.LONGEST_BACKOFF
        now += wait
        sweep(due)
    assert timedelta(days=2) < now - began < timedelta(days=5)
    assert StripeEvent.objects.get().state == "failed"


def test_the_sweep_leaves_a_new_event_to_its_own_task(stripe, bob, ann, monkeypatch):
    monkeypatch.setattr("billing.views.webhook.handle_stripe_event.delay", lambda _: None)
    stripe.pay(start(bob, ann).stripe_checkout_id)
    deliver_all(stripe)
    assert sweep(timezone.now()) == 0
    assert sweep(timezone.now() + event_handlers.FIRST_BACKOFF) == 1


def test_what_an_event_said_of_a_buyer_is_forgotten_in_time(stripe, bob, ann):
    stripe.pay(start(bob, ann).stripe_checkout_id)
    deliver_all(stripe)
    sweep(timezone.now() + event_handlers.PAYLOAD_KEPT / 2)
    assert StripeEvent.objects.get().payload != {}
    sweep(timezone.now() + event_handlers.PAYLOAD_KEPT * 2)
    assert StripeEvent.objects.get().payload == {}


def test_handling_what_does_not_exist_is_harmless(stripe):
    handle("evt_nope")


# The command.


def test_the_command_replays_an_event(stripe, bob, ann, capsys):
    stripe.pay(start(bob, ann).stripe_checkout_id)
    deliver_all(stripe)
    call_command("replay_stripe_event", stripe.events[-1]["id"])
    assert "handled" in capsys.readouterr().out
    assert credits(bob) == 500


def test_the_command_fetches_an_event_that_never_came(stripe, bob, ann):
    stripe.pay(start(bob, ann).stripe_checkout_id)
    call_command("replay_stripe_event", stripe.events[-1]["id"])
    assert credits(bob) == 500


def test_the_command_replays_all_that_failed(stripe, bob, ann, at_once):
    stripe.pay(start(bob, ann).stripe_checkout_id)
    stripe.failures = away()
    deliver_all(stripe)
    call_command("replay_stripe_event", "--failed")
    assert credits(bob) == 500


def test_the_command_says_when_it_did_not_work(stripe):
    with pytest.raises(CommandError):
        call_command("replay_stripe_event", "evt_nope")


# Death at every step.


def story(stripe, organisation, ann):
    """A purchase, a part of it refunded, a refund that fails, and a dispute: 500 - 100 - 200 credits."""
    purchase = start(organisation, ann)
    checkout_id = purchase.stripe_checkout_id
    stripe.pay(checkout_id)
    payment_id = stripe.payment_of(checkout_id)
    stripe.refund(payment_id, 10_000)
    failing = stripe.refund(payment_id, 5_000, status="pending")
    stripe.dispute(payment_id, 20_000)
    stripe.change_refund(failing["id"], "failed")


def test_a_worker_that_dies_between_any_two_steps_loses_nothing_and_doubles_nothing(
    stripe, bob, ann, monkeypatch, transactional_db
):
    monkeypatch.setattr("billing.views.webhook.handle_stripe_event.delay", lambda _: None)
    story(stripe, bob, ann)
    deliver_all(stripe)
    step, deaths = 1, 0
    for event in stripe.events:
        while True:
            death = DyingAt(step)
            try:
                with connection.execute_wrapper(death):
                    handle(event["id"])
                break
            except Killed:
                deaths += 1
                step += 1
                # The sweep, which would come later.
                StripeEvent.objects.filter(event_id=event["id"]).update(attempts=0)
        step = 1
    assert deaths > 60
    assert (states(), credits(bob)) == ({"handled"}, 200)
    assert Entry.objects.filter(kind="purchase").count() == 1
