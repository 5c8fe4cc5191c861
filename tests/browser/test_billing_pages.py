"""The pricing and billing pages, at a telephone's and a desk's width, light and dark: nothing that axe finds."""

import pytest

from tests.browser.buying import Buyer
from tests.browser.test_every_page import faults_of

VISITORS_PAGES = ["/pricing/", "/pricing/?minutes_per_call=60", "/pricing/?minutes_per_call=0"]
PAGES = [
    "/console/billing/",
    "/console/billing/?by=model",
    "/console/billing/ledger/",
    "/console/billing/ledger/?kind=dispute",
    "/console/billing/purchases/",
    "/console/billing/settings/",
    "/pricing/?peak_calls=900",
]


@pytest.fixture(scope="module")
def visitor(chromium, product):
    context = chromium.new_context(base_url=product.url)
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def buyer(chromium, product):
    context = chromium.new_context(base_url=product.url)
    yield Buyer(context.new_page(), product, "billing.pages@example.com")
    context.close()


@pytest.mark.parametrize("path", VISITORS_PAGES)
def test_a_visitors_page_is_sound(visitor, path):
    visitor.goto(path)
    visitor.locator("details").first.evaluate("details => { details.open = true; }")
    assert faults_of(visitor) == []


@pytest.mark.parametrize("path", PAGES)
def test_a_members_page_is_sound(buyer, path):
    buyer.page.goto(path)
    assert faults_of(buyer.page) == []


def test_a_purchase_its_receipt_and_the_lists_that_name_them_are_sound(buyer):
    purchase_id = buyer.buy("Starter")
    assert faults_of(buyer.page) == []
    for path in ("/console/billing/purchases/", "/console/billing/ledger/", "/console/billing/"):
        buyer.page.goto(path)
        assert faults_of(buyer.page) == []
    buyer.page.goto(f"/console/billing/purchases/{purchase_id}/")
    buyer.page.locator("dd a[href*='/receipts/']").first.click()
    buyer.page.wait_for_url("**/receipts/**")
    assert faults_of(buyer.page) == []


def test_settings_that_were_refused_are_sound(buyer):
    buyer.page.goto("/console/billing/settings/")
    buyer.page.get_by_label("Buy credits automatically").check()
    buyer.press("Save auto top-up")
    buyer.page.get_by_text("so that there is one to charge").wait_for()
    assert faults_of(buyer.page) == []


def test_the_worksheet_answers_while_its_questions_are_changed(visitor):
    visitor.goto("/pricing/")
    visitor.get_by_label("Minutes a call").fill("9")
    visitor.get_by_text("A call of 9 minutes", exact=True).wait_for()
    assert "minutes_per_call=9" in visitor.url
    assert "A call of 9 minutes" in visitor.locator("[data-spoken-answer]").inner_text()


def test_a_printed_receipt_has_nothing_of_the_console_around_it(buyer):
    buyer.buy("Starter")
    buyer.page.locator("dd a[href*='/receipts/']").first.click()
    buyer.page.wait_for_url("**/receipts/**")
    buyer.page.emulate_media(media="print")
    assert buyer.page.get_by_role("article").is_visible()
    for part in ("header.topbar", ".console__nav", ".footer", ".receipt__actions"):
        assert not buyer.page.locator(part).is_visible()
    buyer.page.emulate_media(media="screen")
