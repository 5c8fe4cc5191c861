"""What is on sale, to whom, in which currency; and the five bundles that a new installation starts with."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import Organisation
from billing.exceptions import BundleNotOnSale
from billing.ledger import MICRO
from billing.models import Bundle, BundlePrice, Currency

INDIA = "IN"

# slug, name, credits, INR, USD: at most 14 % off, so that the cheapest credit still leaves half of the 35 % margin.
_SEEDS = (
    ("starter", "Starter", 500, 500, 5),
    ("small", "Small", 2_000, 1_900, 19),
    ("medium", "Medium", 5_000, 4_600, 46),
    ("large", "Large", 20_000, 17_800, 178),
    ("huge", "Huge", 100_000, 86_000, 860),
)


@dataclass(frozen=True)
class Offer:
    """A bundle with its price, before tax, in one currency."""

    bundle: Bundle
    currency: str
    amount_minor: int

    @property
    def credits_micro(self) -> int:
        return self.bundle.credits * MICRO


def currency_of(organisation: Organisation) -> str:
    """Rupees in India, where Stripe may charge residents nothing else, and dollars elsewhere.

    An organisation that has not said where it is is taken to be where the seller is.
    """
    country = organisation.country or settings.SELLER_COUNTRY
    return str(Currency.INR if country.upper() == INDIA else Currency.USD)


def offers_for(organisation: Organisation, now: datetime | None = None) -> list[Offer]:
    """Return what the organisation can buy now, smallest sort first."""
    return list(_offers(currency_of(organisation), now or timezone.now()))


def offer_of(bundle: Bundle, currency: str, now: datetime | None = None) -> Offer:
    """Return the bundle's price as it is now. Raises BundleNotOnSale."""
    for offer in _offers(currency, now or timezone.now(), bundle_id=bundle.pk):
        return offer
    raise BundleNotOnSale(bundle.slug)


def seed_bundles() -> int:
    """Create the bundles that are missing, and say how many; one that the operator changed stays as it is."""
    return sum(_seed(sort, *seed) for sort, seed in enumerate(_SEEDS))


def _offers(currency: str, now: datetime, bundle_id: int | None = None) -> Iterator[Offer]:
    valid = Q(bundle__valid_until__isnull=True) | Q(bundle__valid_until__gt=now)
    prices = BundlePrice.objects.filter(valid, currency=currency, bundle__is_active=True, bundle__valid_from__lte=now)
    if bundle_id is not None:
        prices = prices.filter(bundle_id=bundle_id)
    for price in prices.select_related("bundle").order_by("bundle__sort", "bundle__credits"):
        yield Offer(price.bundle, currency, price.amount_minor)


@transaction.atomic
def _seed(sort: int, slug: str, name: str, credits: int, inr: int, usd: int) -> bool:
    bundle, is_new = Bundle.objects.get_or_create(slug=slug, defaults={"name": name, "credits": credits, "sort": sort})
    if is_new:
        for currency, amount in ((Currency.INR, inr), (Currency.USD, usd)):
            BundlePrice.objects.create(bundle=bundle, currency=currency, amount_minor=amount * 100)
    return is_new
