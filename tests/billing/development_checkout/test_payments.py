from urllib.parse import urlsplit

import pytest
import stripe

CHARGE = {"amount": 1200, "currency": "usd", "confirm": True, "off_session": True}


def test_a_card_saved_at_the_checkout_can_be_charged_in_its_owners_absence(api, pay):
    paid = pay(payment_intent_data={"setup_future_usage": "off_session"})
    (card,) = api.customers.payment_methods.list(paid.customer, {"type": "card"}).data
    assert (card.id, card.card.last4) == (paid.payment_intent.payment_method, "4242")
    intent = api.payment_intents.create(
        CHARGE | {"customer": paid.customer, "payment_method": card.id, "metadata": {"purchase_id": "2"}}
    )
    assert (intent.status, intent.amount_received) == ("succeeded", 1200)
    assert api.charges.retrieve(intent.latest_charge).metadata["purchase_id"] == "2"


def test_a_card_is_not_saved_unless_the_checkout_asks_for_it(api, pay):
    paid = pay(customer_creation="always")
    assert api.customers.payment_methods.list(paid.customer).data == []


@pytest.mark.parametrize(
    ("card", "code"),
    [("declined", "card_declined"), ("asks", "authentication_required"), ("indian", "authentication_required")],
)
def test_the_buyer_chooses_at_the_checkout_what_the_saved_card_does_later(api, pay, card, code):
    paid = pay({"card": card}, payment_intent_data={"setup_future_usage": "off_session"})
    assert paid.payment_status == "paid"
    with pytest.raises(stripe.CardError) as caught:
        api.payment_intents.create(
            CHARGE | {"customer": paid.customer, "payment_method": paid.payment_intent.payment_method}
        )
    assert caught.value.code == code


def test_a_declined_charge_is_402_with_the_payment_intent_in_the_error(api, saved_card, told):
    with pytest.raises(stripe.CardError) as caught:
        api.payment_intents.create(CHARGE | saved_card("pm_card_chargeCustomerFail"))
    error = caught.value
    assert (error.http_status, error.code, error.error.decline_code) == (402, "card_declined", "generic_decline")
    intent = api.payment_intents.retrieve(error.error.payment_intent.id)
    assert (intent.status, intent.last_payment_error.code) == ("requires_payment_method", "card_declined")
    assert told()[-2:] == ["charge.failed", "payment_intent.payment_failed"]


def test_a_charge_that_the_bank_wants_confirmed_can_be_confirmed_by_its_owner(api, saved_card, client):
    saved = saved_card("pm_card_authenticationRequired")
    with pytest.raises(stripe.CardError) as caught:
        api.payment_intents.create(CHARGE | saved)
    intent = api.payment_intents.confirm(
        caught.value.error.payment_intent.id,
        {"payment_method": saved["payment_method"], "return_url": "http://testserver/back/"},
    )
    assert intent.status == "requires_action"
    page = urlsplit(intent.next_action.redirect_to_url.url).path
    assert client.post(page, {"action": "confirm"}).url == (
        f"http://testserver/back/?payment_intent={intent.id}&redirect_status=succeeded"
    )
    assert api.payment_intents.retrieve(intent.id).status == "succeeded"


def test_another_customers_card_cannot_be_charged(api, saved_card):
    mallory = api.customers.create({"email": "mallory@example.com"})
    with pytest.raises(stripe.InvalidRequestError) as caught:
        api.payment_intents.create(CHARGE | saved_card("pm_card_visa") | {"customer": mallory.id})
    assert caught.value.param == "payment_method"


def test_a_detached_card_can_no_longer_be_charged(api, saved_card):
    saved = saved_card("pm_card_visa")
    api.payment_methods.detach(saved["payment_method"])
    with pytest.raises(stripe.InvalidRequestError):
        api.payment_intents.create(CHARGE | saved)


def test_an_intent_that_waits_can_be_confirmed_or_cancelled_once(api, saved_card):
    saved = saved_card("pm_card_visa")
    waiting = api.payment_intents.create({"amount": 1200, "currency": "inr", **saved})
    assert waiting.status == "requires_confirmation"
    assert api.payment_intents.confirm(waiting.id).status == "succeeded"
    with pytest.raises(stripe.InvalidRequestError) as caught:
        api.payment_intents.cancel(waiting.id)
    assert caught.value.code == "payment_intent_unexpected_state"


def test_an_amount_below_the_minimum_is_not_charged(api, saved_card):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        api.payment_intents.create(CHARGE | saved_card("pm_card_visa") | {"amount": 49})
    assert caught.value.code == "amount_too_small"


@pytest.mark.parametrize(("amount", "whole"), [(None, True), (1200, True), (500, False)])
def test_a_refund_gives_back_all_or_a_part(api, pay, amount, whole):
    paid = pay()
    asked = {"payment_intent": paid.payment_intent.id, "reason": "requested_by_customer"}
    refund = api.refunds.create(asked | ({"amount": amount} if amount else {}))
    charge = api.charges.retrieve(refund.charge, {"expand": ["refunds"]})
    assert (refund.status, refund.amount, charge.refunded) == ("succeeded", amount or 1200, whole)
    assert [kept.id for kept in charge.refunds] == [refund.id]


def test_no_more_is_refunded_than_was_paid(api, pay):
    intent = pay().payment_intent.id
    api.refunds.create({"payment_intent": intent, "amount": 800})
    with pytest.raises(stripe.InvalidRequestError) as caught:
        api.refunds.create({"payment_intent": intent, "amount": 401})
    assert caught.value.param == "amount"
    api.refunds.create({"payment_intent": intent})
    with pytest.raises(stripe.InvalidRequestError) as caught:
        api.refunds.create({"payment_intent": intent})
    assert caught.value.code == "charge_already_refunded"
    assert sum(refund.amount for refund in api.refunds.list({"payment_intent": intent})) == 1200


@pytest.mark.parametrize(
    ("button", "status", "events", "refunded"),
    [
        ("refund-succeeds", "succeeded", ["refund.updated"], 1200),
        ("refund-fails", "failed", ["refund.updated", "refund.failed"], 0),
    ],
)
def test_a_pending_refund_succeeds_or_fails_by_a_button(api, pay, client, act, told, button, status, events, refunded):
    client.post("/dev/stripe/switches/", {"refunds": "pending"})
    refund = api.refunds.create({"payment_intent": pay().payment_intent.id})
    assert refund.status == "pending"
    act(button, refund.id)
    assert api.refunds.retrieve(refund.id).status == status
    assert api.charges.retrieve(refund.charge).amount_refunded == refunded
    assert told()[-len(events) :] == events


def test_a_refund_that_had_succeeded_may_fail_after_all(api, pay, act):
    refund = api.refunds.create({"payment_intent": pay().payment_intent.id})
    act("refund-fails", refund.id)
    assert api.refunds.retrieve(refund.id).failure_reason
    act("refund-fails", refund.id)
    assert api.charges.retrieve(refund.charge).amount_refunded == 0


def test_the_operator_may_refund_in_stripes_dashboard(api, pay, act):
    charge = pay().payment_intent.latest_charge
    act("refund", charge.id, amount="200")
    act("refund", charge.id, amount="nonsense")
    act("refund", charge.id, amount="")
    assert [refund.amount for refund in api.refunds.list({"charge": charge.id})] == [1000, 200]


@pytest.mark.parametrize(
    ("button", "status", "events"),
    [
        ("dispute-won", "won", ["charge.dispute.closed", "charge.dispute.funds_reinstated"]),
        ("dispute-lost", "lost", ["charge.dispute.closed"]),
    ],
)
def test_a_dispute_takes_the_money_until_it_is_won(api, pay, act, told, button, status, events):
    charge = pay().payment_intent.latest_charge
    act("dispute", charge.id)
    (dispute,) = api.disputes.list({"charge": charge.id}).data
    assert (dispute.status, dispute.amount) == ("needs_response", 1200)
    assert told()[-2:] == ["charge.dispute.created", "charge.dispute.funds_withdrawn"]
    act(button, dispute.id)
    act(button, dispute.id)
    closed = api.disputes.retrieve(dispute.id)
    assert closed.status == status and told()[-len(events) :] == events
    assert sum(moved.net for moved in closed.balance_transactions) == (0 if status == "won" else -1200)


def test_a_disputed_payment_cannot_be_refunded(api, pay, act):
    charge = pay().payment_intent.latest_charge
    act("dispute", charge.id)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        api.refunds.create({"charge": charge.id})
    assert caught.value.code == "charge_disputed"


def test_giving_in_loses_the_dispute(api, pay, act):
    charge = pay().payment_intent.latest_charge
    act("dispute", charge.id)
    assert api.disputes.close(api.disputes.list().data[0].id).status == "lost"
