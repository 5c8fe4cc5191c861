"""Amounts as people see them, exactly."""

from decimal import Decimal

import pytest
from django.template import Context, Template
from hypothesis import given
from hypothesis import strategies as st

from billing.formatting import credits_of, format_exact_credits, format_money, micro_of

MICRO_AMOUNTS = st.integers(-(10**18), 10**18)


def render(template, **context):
    return Template("{% load credits %}" + template).render(Context(context))


@pytest.mark.parametrize(
    ("micro", "shown"),
    [
        (0, "0.00"),
        (3_420_000, "3.42"),
        (3_421_507, "3.42"),
        (1_000_000_000, "1,000.00"),
        (1_234_567_890_000, "1,234,567.89"),
        (-3_420_000, "-3.42"),
        (1, "0.000001"),
        (34_215, "0.034215"),
        (500_000, "0.50"),
        (-34_215, "-0.034215"),
        (999_999, "0.999999"),
        (9_223_372_036_854_775_807, "9,223,372,036,854.78"),
    ],
)
def test_credits_have_two_decimals_and_more_only_below_one(micro, shown):
    assert render("{{ micro|credits }}", micro=micro) == shown


@pytest.mark.parametrize(("micro", "shown"), [(3_421_507, "3.421507"), (3_420_000, "3.42"), (-12_500_000, "-12.50")])
def test_exact_credits_hide_nothing(micro, shown):
    assert render("{{ micro|exact_credits }}", micro=micro) == shown


@pytest.mark.parametrize(
    ("micro", "currency", "shown"),
    [
        (3_420_000, "INR", "₹3.42"),
        (123_456_000_000, "INR", "₹1,23,456.00"),
        (12_345_678_000_000, "INR", "₹1,23,45,678.00"),
        (999_000_000, "INR", "₹999.00"),
        (-1_000_000_000, "INR", "-₹1,000.00"),
        (1_000_000_000, "USD", "$10.00"),
        (3_420_000, "USD", "$0.0342"),
        (123_456_000_000, "USD", "$1,234.56"),
        (1, "USD", "$0.00"),
    ],
)
def test_money_is_a_rupee_or_a_cent_a_credit(micro, currency, shown):
    assert render("{{ micro|money:currency }}", micro=micro, currency=currency) == shown


@pytest.mark.parametrize("filters", ["credits", "exact_credits", 'money:"INR"'])
def test_nothing_is_shown_for_no_amount(filters):
    assert render("{{ micro|" + filters + " }}", micro=None) == ""


def test_a_currency_without_a_price_is_refused():
    with pytest.raises(ValueError, match="EUR"):
        format_money(1, "EUR")


@given(MICRO_AMOUNTS)
def test_credits_and_micro_credits_are_each_others_inverse(micro):
    assert micro_of(credits_of(micro)) == micro


@given(MICRO_AMOUNTS)
def test_exact_credits_can_be_read_back(micro):
    assert micro_of(Decimal(format_exact_credits(micro).replace(",", ""))) == micro


@pytest.mark.parametrize("credits", ["0.0000001", "NaN", "Infinity"])
def test_what_is_no_whole_number_of_micro_credits_is_refused(credits):
    with pytest.raises(ValueError):
        micro_of(Decimal(credits))
