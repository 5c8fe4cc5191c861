import pytest


def test_an_empty_control_page_says_so(client):
    assert client.get("/dev/stripe/").content.count(b"None yet.") == 5


def test_the_control_page_offers_what_may_happen_next(client, api, pay, open_checkout, press, act, deliver):
    open_checkout()
    press(open_checkout(), "later")
    client.post("/dev/stripe/switches/", {"refunds": "pending"})
    api.refunds.create({"payment_intent": pay().payment_intent.id})
    act("dispute", pay().payment_intent.latest_charge.id)
    pay()
    deliver()
    page = client.get("/dev/stripe/").content.decode()
    buttons = ["Open", "Let it expire", "Money came", "Money did not come", "Refund", "Dispute", "Succeeds", "Fails"]
    for button in [*buttons, "Seller wins", "Seller loses", "Again", "Late", "Old signature"]:
        assert f">{button}<" in page
    assert "Answered 200" in page


def test_the_control_page_offers_nothing_that_cannot_happen(client, pay, api):
    api.refunds.create({"payment_intent": pay().payment_intent.id})
    page = client.get("/dev/stripe/").content.decode()
    for button in ("Open", "Money came", "Refund", "Dispute", "Succeeds", "Seller wins"):
        assert f">{button}<" not in page


def test_a_button_that_came_too_late_is_explained(client, api, pay):
    charge = pay().payment_intent.latest_charge.id
    for _ in range(2):
        client.post(f"/dev/stripe/act/dispute/{charge}/")
    assert len(api.disputes.list().data) == 1
    assert b"This charge cannot be disputed." in client.get("/dev/stripe/").content


@pytest.mark.parametrize("path", ["pay/cs_test_nobody/", "authenticate/pi_nobody/", "act/nonsense/cs_test_nobody/"])
def test_what_is_not_there_is_a_404(client, path):
    assert client.post(f"/dev/stripe/{path}").status_code == 404


def test_a_payments_address_is_no_checkouts(client, pay):
    assert client.get(f"/dev/stripe/pay/{pay().payment_intent.id}/").status_code == 404


def test_a_finished_checkouts_page_leads_back(client, pay, server):
    paid = pay()
    page = client.get(f"/dev/stripe/pay/{paid.id}/").content.decode()
    assert "It was paid." in page and f'href="{server}/back/?checkout={paid.id}"' in page


def test_the_bank_asks_once(client, open_checkout, press, answer_bank):
    sent_to = press(open_checkout(), "authenticate")
    assert b"Your bank asks whether you are paying $12.00" in client.get(sent_to.url).content
    answer_bank(sent_to, "confirm")
    assert b"answered already" in client.get(sent_to.url).content


def test_a_product_name_cannot_write_html(client, open_checkout):
    price = {"currency": "usd", "unit_amount": 1200, "product_data": {"name": "<script>alert(1)</script>"}}
    page = client.get(open_checkout(line_items=[{"price_data": price, "quantity": 1}]).url).content
    assert b"<script>alert" not in page and b"&lt;script&gt;alert" in page


def test_every_card_can_be_chosen_when_it_will_be_saved(client, open_checkout):
    checkout = open_checkout(payment_intent_data={"setup_future_usage": "off_session"})
    assert client.get(checkout.url).content.count(b'type="radio"') == 4
    assert b'type="radio"' not in client.get(open_checkout().url).content
