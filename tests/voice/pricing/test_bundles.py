from decimal import Decimal

from voice.pricing.bundles import Choice, Offer, choose_bundle, money_of

CREDIT = 1_000_000
SMALL = Offer("small", "Small", 1_000 * CREDIT, "INR", 100_000)
MEDIUM = Offer("medium", "Medium", 5_000 * CREDIT, "INR", 475_000)
LARGE = Offer("large", "Large", 20_000 * CREDIT, "INR", 1_800_000)
ON_SALE = [SMALL, MEDIUM, LARGE]


def test_the_cheapest_that_covers_the_need_is_chosen():
    assert choose_bundle(ON_SALE, 900 * CREDIT) == Choice(SMALL, 1)
    assert choose_bundle(ON_SALE, 4_800 * CREDIT) == Choice(MEDIUM, 1)


def test_two_small_ones_may_be_cheaper_than_a_larger_one():
    assert choose_bundle(ON_SALE, 1_001 * CREDIT) == Choice(SMALL, 2)


def test_a_need_beyond_the_largest_takes_several():
    choice = choose_bundle(ON_SALE, 61_000 * CREDIT)
    assert choice.count * choice.offer.credits_micro >= 61_000 * CREDIT


def test_no_need_is_covered_by_one_and_nothing_on_sale_by_none():
    assert choose_bundle(ON_SALE, 0) == Choice(SMALL, 1)
    assert choose_bundle([], 1) is None


def test_a_larger_bundle_makes_a_minute_cheaper():
    assert money_of(SMALL, 12 * CREDIT) == Decimal("12.0000")
    assert money_of(LARGE, 12 * CREDIT) == Decimal("10.8000")
