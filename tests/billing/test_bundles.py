"""What is on sale, to whom, when, and for how much."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from billing.bundles import currency_of, offer_of, offers_for, seed_bundles
from billing.exceptions import BundleNotOnSale
from billing.models import Bundle, BundlePrice
from tests.billing.money import an_organisation
from tests.billing.paying import a_bundle

pytestmark = pytest.mark.django_db

NOW = timezone.now()


def in_(country):
    organisation = an_organisation()
    organisation.country = country
    return organisation


def test_a_new_installation_sells_five_bundles_in_two_currencies():
    assert seed_bundles() == 5
    assert [offer.bundle.slug for offer in offers_for(in_("IN"))] == ["starter", "small", "medium", "large", "huge"]
    assert len(offers_for(in_("US"))) == 5


@pytest.mark.parametrize("country", ["IN", "US"])
def test_larger_bundles_are_cheaper_per_credit(country):
    seed_bundles()
    prices = [offer.amount_minor / offer.bundle.credits for offer in offers_for(in_(country))]
    assert prices == sorted(prices, reverse=True)
    assert len(set(prices)) == 5


def test_seeding_again_changes_nothing_that_the_operator_changed():
    bundle = a_bundle()
    bundle.credits = 7
    bundle.save()
    bundle.prices.all().delete()
    assert seed_bundles() == 0
    bundle.refresh_from_db()
    assert (bundle.credits, bundle.prices.count()) == (7, 0)


@pytest.mark.parametrize(("country", "currency"), [("IN", "INR"), ("in", "INR"), ("US", "USD"), ("DE", "USD")])
def test_the_country_decides_the_currency(country, currency):
    assert currency_of(in_(country)) == currency


def test_who_has_not_said_where_is_taken_to_be_where_the_seller_is(settings):
    settings.SELLER_COUNTRY = "DE"
    assert currency_of(in_("")) == "USD"
    settings.SELLER_COUNTRY = "IN"
    assert currency_of(in_("")) == "INR"


@pytest.mark.parametrize(
    "changes",
    [
        {"is_active": False},
        {"valid_from": NOW + timedelta(minutes=1)},
        {"valid_from": NOW - timedelta(days=2), "valid_until": NOW},
    ],
)
def test_what_is_not_valid_is_not_on_sale(changes):
    bundle = a_bundle()
    Bundle.objects.filter(pk=bundle.pk).update(**changes)
    assert bundle not in [offer.bundle for offer in offers_for(in_("IN"), NOW)]
    with pytest.raises(BundleNotOnSale):
        offer_of(bundle, "INR", NOW)


def test_a_bundle_without_a_price_in_the_currency_is_not_on_sale():
    bundle = a_bundle()
    bundle.prices.filter(currency="USD").delete()
    assert offer_of(bundle, "INR").amount_minor == 50_000
    with pytest.raises(BundleNotOnSale):
        offer_of(bundle, "USD")


@pytest.mark.parametrize("fields", [{"currency": "EUR"}, {"amount_minor": 0}, {"amount_minor": 10**9}])
def test_the_database_refuses_prices_that_cannot_be_charged(fields):
    price = BundlePrice.objects.get(bundle=a_bundle(), currency="INR")
    with pytest.raises(IntegrityError), transaction.atomic():
        BundlePrice.objects.filter(pk=price.pk).update(**fields)


def test_a_bundle_has_one_price_a_currency():
    with pytest.raises(IntegrityError), transaction.atomic():
        BundlePrice.objects.create(bundle=a_bundle(), currency="INR", amount_minor=100)
