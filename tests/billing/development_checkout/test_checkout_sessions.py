import time

import pytest
import stripe

CHECKOUT = {
    "client_reference_id": "purchase-1",
    "metadata": {"purchase_id": "1", "note": "ünï & [x]=1"},
    "payment_intent_data": {"description": "1200 credits", "metadata": {"purchase_id": "1"}},
    "customer_creation": "always",
    "billing_address_collection": "required",
    "allow_promotion_codes": True,
    "tax_id_collection": {"enabled": True},
    "invoice_creation": {"enabled": True},
}
ADDRESS = {"line1": "1 Street", "city": "Berlin", "postal_code": "10115"}


def test_a_new_checkout_is_open_unpaid_and_has_a_page_of_its_own(open_checkout, client):
    checkout = open_checkout(**CHECKOUT)
    assert (checkout.status, checkout.payment_status, checkout.amount_total) == ("open", "unpaid", 1200)
    assert checkout.payment_intent is None and checkout.livemode is False
    assert checkout.metadata.to_dict() == CHECKOUT["metadata"]
    assert "1200 credits" in client.get(checkout.url).content.decode()


def test_the_page_says_that_it_is_not_stripe(open_checkout, client):
    assert b"This is not Stripe, and no money moves" in client.get(open_checkout().url).content


def test_paying_completes_the_checkout_and_leads_back(api, open_checkout, press, server):
    checkout = open_checkout(**CHECKOUT)
    answer = press(checkout, "pay", **ADDRESS)
    assert answer.status_code == 303 and answer.url == f"{server}/back/?checkout={checkout.id}"
    expand = ["payment_intent.latest_charge", "line_items", "customer"]
    paid = api.checkout.sessions.retrieve(checkout.id, {"expand": expand})
    assert (paid.status, paid.payment_status, paid.url) == ("complete", "paid", None)
    assert paid.payment_intent.metadata.to_dict() == {"purchase_id": "1"}
    assert paid.payment_intent.latest_charge.amount_captured == 1200
    assert paid.line_items.data[0].description == "1200 credits"
    assert paid.customer.email == paid.customer_details.email == "maria@example.com"
    assert paid.customer_details.address.country == "DE"


def test_paying_is_told_in_stripes_order(pay, told):
    pay()
    assert told() == [
        "payment_intent.created", "charge.succeeded", "payment_intent.succeeded", "checkout.session.completed",
    ]  # fmt: skip


def test_a_paid_checkout_cannot_be_paid_again(api, open_checkout, press, told):
    checkout = open_checkout()
    press(checkout, "pay")
    assert press(checkout, "pay").status_code == 200
    assert told().count("charge.succeeded") == 1


def test_a_declined_card_leaves_the_checkout_open_for_another_try(api, open_checkout, press, client, told):
    checkout = open_checkout()
    press(checkout, "decline")
    assert b"Your card was declined." in client.get(checkout.url).content
    tried = api.checkout.sessions.retrieve(checkout.id, {"expand": ["payment_intent"]})
    assert tried.status == "open" and tried.payment_intent.last_payment_error.code == "card_declined"
    press(checkout, "pay")
    paid = api.checkout.sessions.retrieve(checkout.id)
    assert paid.payment_status == "paid" and paid.payment_intent == tried.payment_intent.id
    assert told().count("payment_intent.payment_failed") == 1


def test_3d_secure_that_is_confirmed_pays(api, open_checkout, press, answer_bank, server):
    checkout = open_checkout()
    back = answer_bank(press(checkout, "authenticate"), "confirm")
    assert back.status_code == 303 and back.url == f"{server}/back/?checkout={checkout.id}"
    assert api.checkout.sessions.retrieve(checkout.id).payment_status == "paid"


def test_3d_secure_that_fails_leads_back_to_the_page(api, open_checkout, press, answer_bank):
    checkout = open_checkout()
    back = answer_bank(press(checkout, "authenticate"), "fail")
    assert back.url == f"/dev/stripe/pay/{checkout.id}/"
    session = api.checkout.sessions.retrieve(checkout.id, {"expand": ["payment_intent"]})
    assert session.status == "open"
    assert session.payment_intent.last_payment_error.code == "payment_intent_authentication_failure"


@pytest.mark.parametrize(
    ("button", "event", "payment_status"),
    [("money-came", "succeeded", "paid"), ("money-did-not-come", "failed", "unpaid")],
)
def test_paying_later_is_complete_at_once_and_paid_or_not_afterwards(
    api, open_checkout, press, act, told, button, event, payment_status
):
    checkout = open_checkout()
    press(checkout, "later")
    session = api.checkout.sessions.retrieve(checkout.id, {"expand": ["payment_intent"]})
    assert (session.status, session.payment_status) == ("complete", "unpaid")
    assert session.payment_intent.status == "processing"
    act(button, session.payment_intent.id)
    assert api.checkout.sessions.retrieve(checkout.id).payment_status == payment_status
    assert told()[-1] == f"checkout.session.async_payment_{event}"


def test_cancelling_leads_away_and_changes_nothing(api, open_checkout, client, server):
    checkout = open_checkout()
    assert f'href="{server}/cancelled/"' in client.get(checkout.url).content.decode()
    assert api.checkout.sessions.retrieve(checkout.id).status == "open"


def test_an_expired_checkout_takes_no_money(api, open_checkout, press, client, told):
    checkout = open_checkout()
    assert api.checkout.sessions.expire(checkout.id).status == "expired"
    assert told() == ["checkout.session.expired"]
    assert b"has expired" in press(checkout, "pay").content
    with pytest.raises(stripe.InvalidRequestError, match="status of `expired`"):
        api.checkout.sessions.expire(checkout.id)


def test_a_checkout_expires_when_its_time_is_over(api, open_checkout, monkeypatch):
    checkout = open_checkout(expires_at=int(time.time()) + 1800)
    now = time.time()
    monkeypatch.setattr("billing.development_checkout.buying.time.time", lambda: now + 1801)
    assert api.checkout.sessions.retrieve(checkout.id).status == "expired"


@pytest.mark.parametrize("seconds", [60, 25 * 3600])
def test_a_checkout_lasts_half_an_hour_to_a_day(open_checkout, seconds):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        open_checkout(expires_at=int(time.time()) + seconds)
    assert caught.value.param == "expires_at"


def test_a_promotion_code_takes_its_part_off(api, open_checkout, press, client):
    checkout = open_checkout(allow_promotion_codes=True, amount=1205)
    assert b"This code is invalid." in press(checkout, "promotion", promotion_code="NONSENSE").content
    assert "$10.84" in press(checkout, "promotion", promotion_code="tenoff").content.decode()
    press(checkout, "pay")
    session = api.checkout.sessions.retrieve(checkout.id, {"expand": ["discounts.promotion_code"]})
    assert (session.amount_subtotal, session.amount_total, session.total_details.amount_discount) == (1205, 1084, 121)
    assert session.discounts[0].promotion_code.code == "TENOFF"
    assert session.discounts[0].promotion_code.times_redeemed == 1


@pytest.mark.parametrize("button", ["pay", "decline", "later"])
def test_a_code_that_leaves_nothing_to_pay_needs_no_payment(api, open_checkout, press, button):
    (code,) = api.promotion_codes.list({"code": "FREE"}).data
    checkout = open_checkout(discounts=[{"promotion_code": code.id}])
    press(checkout, button)
    session = api.checkout.sessions.retrieve(checkout.id)
    assert (session.payment_status, session.payment_intent, session.amount_total) == ("no_payment_required", None, 0)


@pytest.mark.parametrize(("country", "tax", "total"), [("IN", 216, 1416), ("DE", 0, 1200)])
def test_automatic_tax_depends_on_where_the_buyer_lives(api, open_checkout, press, country, tax, total):
    checkout = open_checkout(automatic_tax={"enabled": True}, currency="inr")
    assert checkout.automatic_tax.status == "requires_location_inputs"
    press(checkout, "pay", country=country)
    session = api.checkout.sessions.retrieve(checkout.id, {"expand": ["payment_intent"]})
    assert session.automatic_tax.status == "complete"
    assert (session.total_details.amount_tax, session.amount_total) == (tax, total)
    assert session.payment_intent.amount == total


def test_nobody_pays_another_sum_than_the_page_showed(api, open_checkout, press):
    checkout = open_checkout(automatic_tax={"enabled": True}, currency="inr")
    assert "With tax the total is ₹14.16." in press(checkout, "pay", country="IN", total="1200").content.decode()
    assert api.checkout.sessions.retrieve(checkout.id).status == "open"
    assert press(checkout, "pay", country="IN", total="1416").status_code == 303


def test_a_tax_number_is_kept_with_the_buyer(api, open_checkout, press):
    checkout = open_checkout(tax_id_collection={"enabled": True})
    press(checkout, "pay", country="IN", tax_id="29ABCDE1234F2Z5")
    (tax_id,) = api.checkout.sessions.retrieve(checkout.id).customer_details.tax_ids
    assert (tax_id.type, tax_id.value) == ("in_gst", "29ABCDE1234F2Z5")


def test_a_buyer_who_leaves_out_what_is_required_is_asked_again(api, open_checkout, press):
    checkout = open_checkout(billing_address_collection="required")
    assert b"This field is required." in press(checkout, "pay", name="").content
    assert api.checkout.sessions.retrieve(checkout.id).payment_intent is None


def test_line_items_are_listed_only_when_asked_for(api, open_checkout):
    checkout = open_checkout()
    assert not hasattr(api.checkout.sessions.retrieve(checkout.id), "line_items")
    assert api.checkout.sessions.line_items.list(checkout.id).data[0].price.unit_amount == 1200


def test_an_existing_customer_gets_the_address_that_the_checkout_may_write(api, open_checkout, press):
    customer = api.customers.create({"email": "maria@example.com"})
    checkout = open_checkout(customer=customer.id, customer_update={"address": "auto"}, automatic_tax={"enabled": True})
    press(checkout, "pay")
    assert api.customers.retrieve(customer.id).address.country == "DE"


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"line_items": []}, "line_items"),
        ({"surprise": 1}, "surprise"),
        ({"payment_intent_data": {"surprise": 1}}, "payment_intent_data[surprise]"),
        ({"customer": "cus_nobody"}, "customer"),
        ({"mode": "subscription"}, "mode"),
        ({"success_url": "javascript:alert(1)"}, "success_url"),
        ({"cancel_url": "javascript:alert(1)"}, "cancel_url"),
        ({"metadata": {"key": "x" * 501}}, "metadata"),
        ({"line_items": [{"price_data": {"currency": "usd", "unit_amount": -1, "product_data": {"name": "x"}}}]},
         "line_items[0][price_data][unit_amount]"),
    ],
)  # fmt: skip
def test_what_stripe_refuses_is_refused_naming_the_parameter(open_checkout, changes, param):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        open_checkout(**changes)
    assert caught.value.param == param


def test_an_amount_below_the_minimum_is_refused(open_checkout):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        open_checkout(amount=49)
    assert caught.value.code == "amount_too_small"


def test_tax_for_a_customer_without_address_needs_leave_to_write_it(api, open_checkout):
    customer = api.customers.create({"email": "maria@example.com"})
    with pytest.raises(stripe.InvalidRequestError) as caught:
        open_checkout(customer=customer.id, automatic_tax={"enabled": True})
    assert caught.value.code == "customer_tax_location_invalid"


@pytest.mark.parametrize(
    ("success_url", "allowed"),
    [
        ("http://testserver/back/", "form-action 'self';"),
        ("http://seller.test/", "form-action 'self' http://seller.test;"),
    ],
)
def test_the_pages_policy_lets_a_form_lead_back_to_the_seller_and_nowhere_else(
    open_checkout, client, success_url, allowed
):
    checkout = open_checkout(success_url=success_url)
    page = client.get(f"/dev/stripe/pay/{checkout.id}/")
    assert allowed in page["Content-Security-Policy"] + ";"
