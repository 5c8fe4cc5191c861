"""Buying a bundle as its buyer does: from the billing page to the development checkout, and back."""

import re

from playwright.sync_api import Page

from tests.browser.test_newcomer import sign_up, verify_by_mail
from tests.browser.waiting import wait_until

CREDIT = 1_000_000


class Buyer:
    """Somebody who has just signed up, and their wallet as the database has it."""

    def __init__(self, page: Page, product, email: str) -> None:
        self.page, self.product, self.email = page, product, email
        sign_up(page, email)
        verify_by_mail(page, email)
        page.wait_for_url("**/console/")

    @property
    def credits(self) -> float:
        query = (
            "SELECT balance_micro FROM billing_wallet w"
            " JOIN accounts_membership m ON m.organisation_id = w.organisation_id"
            " JOIN accounts_user u ON u.id = m.user_id WHERE u.email = ?"
        )
        return self.product.row(query, self.email)["balance_micro"] / CREDIT

    def go_to_payment(self, bundle: str = "Small") -> None:
        """Choose a bundle and say who is buying."""
        self.page.goto("/console/billing/")
        self.page.get_by_role("radio", name=re.compile(f"^{bundle}")).check()
        self.page.get_by_role("button", name="Go to payment").click()
        self.page.wait_for_url("**/dev/stripe/pay/**")
        self.page.get_by_label("Full name").fill("Rosewood Dental LLP")
        self.page.get_by_label("Country").select_option("IN")
        self.page.get_by_label("Address").fill("2 Rose Lane")
        self.page.get_by_label("City").fill("New Delhi")

    def press(self, button: str) -> None:
        self.page.get_by_role("button", name=re.compile(f"^{button}")).first.click()

    def buy(self, bundle: str = "Small") -> str:
        """Buy a bundle without any trouble; return the purchase's id."""
        self.go_to_payment(bundle)
        self.press("Pay ₹")
        return self.come_back()

    def come_back(self) -> str:
        self.page.wait_for_url("**/console/billing/purchases/**")
        return self.page.url.rstrip("/").rpartition("/")[2]

    def wait_for_credits(self, credits: float) -> None:
        wait_until(lambda: self.credits == credits)

    def purchase(self, purchase_id: str) -> dict:
        return self.product.row("SELECT * FROM billing_purchase WHERE id = ?", purchase_id.replace("-", ""))

    def wait_until_told(self, purchase_id: str) -> None:
        """Wait until every event about the purchase's checkout has come by webhook and was handled."""
        checkout_id = self.purchase(purchase_id)["stripe_checkout_id"]
        query = "SELECT state FROM billing_stripeevent WHERE object_id = ?"
        wait_until(lambda: {row["state"] for row in self.product.rows(query, checkout_id)} == {"handled"})
