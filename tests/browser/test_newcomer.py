"""A newcomer signs up, finds their credits, makes an agent, talks to it, and sees the wallet fall by the receipt."""

import re

from tests.browser.call import Call
from tests.browser.money import micro_of
from tests.browser.waiting import wait_until


def sign_up(page, email: str, organisation: str = "Kestrel Plumbing") -> None:
    page.goto("/accounts/signup/")
    page.get_by_label(re.compile("organisation", re.I)).fill(organisation)
    page.get_by_label(re.compile("e-?mail", re.I)).fill(email)
    page.get_by_label(re.compile("^password", re.I)).first.fill("correct horse battery staple")
    solve_captcha(page)
    page.get_by_role("button", name=re.compile("sign up|create", re.I)).click()
    page.wait_for_url("**/confirm-email/")


def solve_captcha(page) -> None:
    # It began to work when the first field was focused.
    wait_until(lambda: page.evaluate("document.querySelector('input[name=captcha]')?.value"), 60)


def verify_by_mail(page, email: str) -> None:
    page.goto("/dev/mail/")
    page.get_by_role("link").filter(has_text=re.compile("confirm|verify|address", re.I)).first.click()
    page.locator("a[href*='confirm-email']").first.click()
    page.get_by_role("button", name=re.compile("confirm", re.I)).click()


def balance_micro(product, name: str) -> int:
    query = (
        "SELECT balance_micro FROM billing_wallet w JOIN accounts_organisation o ON o.id = w.organisation_id"
        " WHERE o.name = ?"
    )
    return product.row(query, name)["balance_micro"]


def test_from_sign_up_to_the_first_receipt(page, product):
    sign_up(page, "kestrel@example.com", "Kestrel & Daughters")
    verify_by_mail(page, "kestrel@example.com")
    page.goto("/console/")
    assert "1,000" in page.inner_text("main")
    page.goto("/console/agents/new/")
    page.get_by_role("link", name=re.compile("appointment", re.I)).first.click()
    page.get_by_role("button", name=re.compile("create|save|make", re.I)).first.click()
    call = Call(page)
    call.type_instead()
    call.wait_for_answer(0)
    call.type("What can you do for me?")
    call.hang_up()
    cost_micro = micro_of(call.receipt_total())
    assert cost_micro > 0
    assert balance_micro(product, "Kestrel & Daughters") == 1_000_000_000 - cost_micro
