"""Which bundle covers a month, and what a minute costs out of each: pure arithmetic on what is on sale."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal


@dataclass(frozen=True, slots=True)
class Offer:
    """A bundle on sale in one currency; `amount_minor` in paise or cents."""

    slug: str
    name: str
    credits_micro: int
    currency: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Choice:
    """The bundle to buy, and how many of it, to cover what was asked for."""

    offer: Offer
    count: int

    @property
    def amount_minor(self) -> int:
        return self.offer.amount_minor * self.count


def choose_bundle(offers: Sequence[Offer], needed_micro: int) -> Choice | None:
    """Return the cheapest way to have `needed_micro` from bundles of one kind; None when nothing is on sale."""
    choices = [Choice(offer, max(1, -(-needed_micro // offer.credits_micro))) for offer in offers]
    return min(choices, key=lambda choice: (choice.amount_minor, choice.count), default=None)


def money_of(offer: Offer, credits_micro: int) -> Decimal:
    """Return what so many credits cost when bought in this bundle, in whole currency with four decimals."""
    price = Decimal(offer.amount_minor) * credits_micro / offer.credits_micro / 100
    return price.quantize(Decimal("0.0001"), ROUND_HALF_UP)
