"""Our whole side of buying against the whole development checkout: Stripe's library, real sockets, signed webhooks."""

from urllib.parse import urlsplit

import pytest

from billing import purchases, refunds
from billing.development_checkout import webhooks
from billing.exceptions import PaymentDeclined, PaymentNeedsConfirmation
from billing.models import Purchase, StripeEvent
from billing.reconciliation import reconcile
from billing.stripe.client import client as stripe_client
from billing.stripe.payments import fetch_saved_card
from tests.billing.development_checkout.server import serving
from tests.billing.money import an_organisation
from tests.billing.paying import a_bundle, credits

pytestmark = pytest.mark.django_db(transaction=True)

BUYER = {
    "email": "maria@example.com",
    "name": "Maria Silva",
    "line1": "Marktplatz 1",
    "city": "Bremen",
    "country": "DE",
    "card": "works",
}


@pytest.fixture
def machine(settings, tmp_path, monkeypatch):
    """A developer's machine with the product on a port; events wait until they are delivered."""
    settings.DEBUG, settings.PAYMENTS, settings.DATA_DIR = True, "development", tmp_path
    monkeypatch.setattr(webhooks.courier, "wake", lambda: None)
    with serving() as url:
        settings.STRIPE_API_BASE = f"{url}/dev/stripe"
        yield url


@pytest.fixture
def maria(machine):
    organisation = an_organisation("Maria's Bakery")
    organisation.country = "DE"
    organisation.save()
    return organisation


@pytest.fixture
def buy(client, machine, maria, ann):
    """A function that opens a checkout and presses a button on its page; returns the purchase as it is known here."""

    def buy_(action="pay", save_card=False, **typed):
        back = {"success_url": f"{machine}/console/billing/", "cancel_url": f"{machine}/console/billing/"}
        page = purchases.start_checkout(maria, a_bundle(), ann, **back, save_card=save_card)
        pressed = client.post(urlsplit(page).path, BUYER | typed | {"action": action})
        assert pressed.status_code == (302 if action == "decline" else 303)
        return Purchase.objects.latest("created_at")

    return buy_


def deliver_all():
    while webhooks.deliver_next():
        pass
    assert not StripeEvent.objects.exclude(state__in=["handled", "ignored"]).exists()


def test_the_way_back_and_then_the_webhook(buy, maria):
    paid = purchases.apply_checkout(buy().stripe_checkout_id, maria)
    assert (paid.status, paid.amount_minor, paid.currency, credits(maria)) == ("paid", 500, "USD", 500)
    assert (paid.buyer_name, paid.buyer_address["country"]) == ("Maria Silva", "DE")
    deliver_all()
    assert credits(maria) == 500


def test_the_webhook_and_then_the_way_back(buy, maria):
    purchase = buy()
    deliver_all()
    assert credits(maria) == 500
    assert purchases.apply_checkout(purchase.stripe_checkout_id, maria).status == "paid"
    assert credits(maria) == 500


def test_a_declined_card_buys_nothing(buy, maria):
    purchase = buy("decline")
    deliver_all()
    assert (purchases.refresh(purchase).is_credited, credits(maria)) == (False, 0)


def test_money_that_comes_later(buy, maria):
    purchase = buy("later")
    deliver_all()
    purchase.refresh_from_db()
    assert (purchase.status, credits(maria)) == ("pending", 0)


def test_a_refund_and_what_reconciling_then_says(buy, maria):
    purchase = buy()
    deliver_all()
    made = refunds.refund(purchase, 200, reason="Asked for", actor="olga@example.com")
    deliver_all()
    assert (made.status, credits(maria)) == ("succeeded", 300)
    assert list(reconcile(purchase.created_at)) == []


def test_a_saved_card_is_charged_in_its_owners_absence(buy, maria):
    first = purchases.apply_checkout(buy(save_card=True).stripe_checkout_id)
    card = fetch_saved_card(first.stripe_payment_method_id)
    assert (card.label, card.can_charge_off_session) == ("Visa •••• 4242", True)
    again = purchases.charge_off_session(
        maria, a_bundle(), "attempt-1", customer_id=card.customer_id, payment_method_id=card.payment_method_id
    )
    deliver_all()
    assert (again.status, credits(maria)) == ("paid", 1000)


@pytest.mark.parametrize(
    ("card", "error"),
    [("declined", PaymentDeclined), ("asks", PaymentNeedsConfirmation), ("indian", PaymentNeedsConfirmation)],
)
def test_cards_that_do_not_work_without_their_owner(buy, maria, card, error):
    sent = buy(save_card=True)
    first = purchases.apply_checkout(sent.stripe_checkout_id)
    tokens = {"declined": "chargeCustomerFail", "asks": "authenticationRequired", "indian": "in"}
    customer_id = first.stripe_customer_id
    method = stripe_client().v1.payment_methods.attach(f"pm_card_{tokens[card]}", {"customer": customer_id})
    with pytest.raises(error):
        purchases.charge_off_session(maria, a_bundle(), "a", customer_id=customer_id, payment_method_id=method.id)
    deliver_all()
    assert credits(maria) == 500
    assert fetch_saved_card(method.id).can_charge_off_session == (card != "indian")


def test_the_second_checkout_knows_its_customer(buy, maria):
    purchases.apply_checkout(buy().stripe_checkout_id)
    purchases.apply_checkout(buy().stripe_checkout_id)
    assert credits(maria) == 1000
    assert len(set(Purchase.objects.values_list("stripe_customer_id", flat=True))) == 1
