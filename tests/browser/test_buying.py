"""A bundle is bought in the browser through the development checkout: paid, declined, confirmed, late, refunded."""

import sqlite3
from contextlib import closing

import pytest

from tests.browser.buying import Buyer
from tests.browser.test_every_page import faults_of
from tests.browser.waiting import wait_until


@pytest.fixture(scope="module")
def buyer(chromium, product):
    """Somebody with the credits of signing up, on a page on which no script fails and nothing is refused."""
    context = chromium.new_context(base_url=product.url, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(f"script: {error}"))
    page.on("console", lambda message: message.type == "error" and faults.append(f"console: {message.text}"))
    page.on("response", lambda answer: answer.status >= 500 and faults.append(f"{answer.status}: {answer.url}"))
    yield Buyer(page, product, "buyer@example.com")
    context.close()
    assert not faults, faults


@pytest.fixture
def before(buyer):
    return buyer.credits


def test_the_credits_are_there_when_the_buyer_is_back_and_come_once(buyer, before):
    purchase_id = buyer.buy()
    assert "2,000 credits are in your balance" in buyer.page.inner_text("main")
    assert buyer.credits == before + 2000
    buyer.wait_until_told(purchase_id)
    buyer.page.reload()
    assert buyer.credits == before + 2000


def test_the_receipt_is_on_its_page_as_pdf_and_in_the_mail(buyer):
    buyer.buy("Starter")
    number = buyer.page.locator("dd a[href*='/receipts/']").first.inner_text()
    pdf = buyer.page.request.get(f"/console/billing/receipts/{number}/pdf/")
    assert pdf.headers["content-type"] == "application/pdf" and pdf.body().startswith(b"%PDF-")
    buyer.page.get_by_role("link", name=number).click()
    receipt = buyer.page.inner_text("article")
    assert "Rosewood Dental LLP" in receipt and "₹500.00" in receipt and number in receipt
    wait_until(lambda: number in _mails(buyer))


def test_a_declined_card_buys_nothing_and_the_buyer_may_try_again(buyer, before):
    buyer.go_to_payment()
    buyer.press("Card is declined")
    buyer.page.get_by_role("alert").get_by_text("Your card was declined.").wait_for()
    assert buyer.credits == before
    buyer.press("Pay ₹")
    buyer.come_back()
    assert buyer.credits == before + 2000


def test_a_buyer_who_turns_back_has_bought_nothing(buyer, before):
    buyer.go_to_payment()
    buyer.page.get_by_role("link", name="Cancel").click()
    buyer.page.wait_for_url("**/console/billing/")
    assert buyer.credits == before


def test_3_d_secure_is_passed(buyer, before):
    buyer.go_to_payment()
    buyer.press("3-D Secure")
    buyer.page.wait_for_url("**/dev/stripe/authenticate/**")
    assert buyer.credits == before
    buyer.press("Confirm the payment")
    buyer.come_back()
    assert buyer.credits == before + 2000


def test_3_d_secure_is_failed(buyer, before):
    buyer.go_to_payment()
    buyer.press("3-D Secure")
    buyer.press("Fail to confirm")
    buyer.page.wait_for_url("**/dev/stripe/pay/**")
    buyer.page.get_by_role("alert").get_by_text("unable to authenticate").wait_for()
    assert buyer.credits == before


def test_a_payment_that_takes_days_brings_its_credits_when_the_money_comes(buyer, before):
    buyer.go_to_payment()
    buyer.press("Pay later")
    purchase_id = buyer.come_back()
    assert "The bank has not decided yet" in buyer.page.inner_text("main") and buyer.credits == before
    buyer.page.goto("/dev/stripe/")
    buyer.press("Money came")
    # Nobody comes back this time: a webhook and a worker bring it.
    buyer.wait_for_credits(before + 2000)
    buyer.page.goto(f"/console/billing/purchases/{purchase_id}/")
    assert "Paid" in buyer.page.inner_text("main")


def test_a_refund_takes_the_credits_back(buyer, before):
    purchase_id = buyer.buy("Medium")
    assert buyer.credits == before + 5000
    buyer.page.goto("/dev/stripe/")
    buyer.press("Refund")
    buyer.wait_for_credits(before)
    buyer.page.goto(f"/console/billing/purchases/{purchase_id}/")
    page = buyer.page.inner_text("main")
    assert "Refunded" in page and "Given back" in page
    number = buyer.page.get_by_role("link", name="credit note").inner_text().split()[-1]
    buyer.page.get_by_role("link", name="credit note").click()
    buyer.page.wait_for_url(f"**/console/billing/credit-notes/{number}/")
    assert "Total given back" in buyer.page.inner_text("main") and faults_of(buyer.page) == []
    pdf = buyer.page.request.get(f"/console/billing/credit-notes/{number}/pdf/")
    assert pdf.ok and pdf.body().startswith(b"%PDF-")
    buyer.page.goto("/console/billing/ledger/?kind=refund")
    assert "-5,000.00" in buyer.page.inner_text("table")


def test_every_event_once_more_and_in_the_worst_order_changes_nothing(buyer):
    purchase_id = buyer.buy()
    buyer.wait_until_told(purchase_id)
    after, taken = buyer.credits, _deliveries(buyer).count("taken")
    buyer.page.goto("/dev/stripe/")
    buyer.press("Send the last")
    # Each was sent before, so each is sent at least once more; none is waiting or refused.
    wait_until(lambda: _deliveries(buyer).count("taken") > taken and set(_deliveries(buyer)) == {"taken"})
    assert buyer.credits == after
    entries = "SELECT count(*) AS number FROM billing_entry WHERE reference = ?"
    assert buyer.product.row(entries, f"purchase:{purchase_id}")["number"] == 1


def _mails(buyer) -> str:
    """The list of mails that were sent to anybody."""
    return buyer.page.request.get("/dev/mail/").text()


def _deliveries(buyer) -> list[str]:
    """What became of each delivery that the development checkout made or means to make."""
    path = buyer.product.data_dir / "development_checkout.sqlite3"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as books:
        rows = books.execute("SELECT due_at, outcome FROM deliveries").fetchall()
    return ["taken" if due_at is None and "200" in outcome else outcome or "waiting" for due_at, outcome in rows]
