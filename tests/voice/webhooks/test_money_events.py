"""Endpoints are told of payments and of credits that run low, in the transaction in which billing knows."""

from django.db import transaction
from django.utils import timezone

from billing.bundles import seed_bundles
from billing.models import Bundle, Purchase
from billing.signals import announce, budget_exceeded, credits_low, payment_failed, payment_succeeded
from voice.models import WebhookDelivery


def told():
    return list(WebhookDelivery.objects.order_by("created_at").values_list("event_type", "data"))


def a_purchase(organisation):
    seed_bundles()
    return Purchase.objects.create(
        organisation=organisation,
        bundle=Bundle.objects.first(),
        bundle_name="Small",
        credits_micro=500_000_000,
        currency="USD",
        price_minor=500,
        amount_minor=500,
        origin="checkout",
        status="paid",
        paid_at=timezone.now(),
    )


def test_a_payment_is_told_of_once(organisation, endpoint):
    purchase = a_purchase(organisation)
    with transaction.atomic():
        announce(payment_succeeded, purchase_id=purchase.pk)
        announce(payment_succeeded, purchase_id=purchase.pk)
    ((type, data),) = told()
    assert type == "payment.succeeded"
    assert data == {
        "purchase_id": str(purchase.pk),
        "credits_micro": 500_000_000,
        "amount_minor": 500,
        "currency": "USD",
        "origin": "checkout",
    }


def test_a_payment_that_failed_is_told_of(organisation, endpoint):
    announce(payment_failed, purchase_id=a_purchase(organisation).pk)
    assert [type for type, _ in told()] == ["payment.failed"]


def test_credits_that_run_low_are_told_of(organisation, endpoint):
    announce(credits_low, organisation_id=organisation.pk, threshold_micro=50_000_000, balance_micro=49_000_000)
    assert told() == [("credits.low", {"threshold_micro": 50_000_000, "balance_micro": 49_000_000})]


def test_each_crossing_is_told_of(organisation, endpoint):
    for _ in range(2):
        announce(credits_low, organisation_id=organisation.pk, threshold_micro=50_000_000, balance_micro=1)
    assert len(told()) == 2


def test_a_cap_is_told_of_once_a_month(organisation, endpoint):
    for _ in range(2):
        announce(budget_exceeded, organisation_id=organisation.pk, cap_micro=10)
    ((type, data),) = told()
    assert (type, data["cap_micro"]) == ("budget.exceeded", 10)
