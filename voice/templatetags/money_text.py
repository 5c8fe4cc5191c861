"""Filters for money and shares, as the billing and pricing pages show them."""

from decimal import Decimal
from uuid import UUID

from django import template
from django.urls import reverse

from billing.formatting import CURRENCIES, credits_of, format_credits, format_money

register = template.Library()

# A paisa is a hundredth of a credit, a cent is one (billing/formatting.py).
_MICRO_PER_MINOR = {"INR": 10_000, "USD": 1_000_000}
# By how an entry's reference begins.
_PAGES = {"voice_session": "console:call", "purchase": "console:purchase"}


@register.filter
def minor_money(amount_minor: int | None, currency: str) -> str:
    """`₹1,23,456.00` or `$1,234.56` from paise or cents; nothing for None."""
    return "" if amount_minor is None else format_money(amount_minor * _MICRO_PER_MINOR[currency], currency)


@register.filter
def unit_money(amount: Decimal, currency: str) -> str:
    """`₹3.21`; below one, with all four decimals: `$0.0321`."""
    decimals = 2 if amount >= 1 else 4
    return f"{CURRENCIES[currency][0]}{amount:,.{decimals}f}"


@register.filter
def whole_credits(amount_micro: int) -> str:
    """`10,000` when nothing is lost by it, else as `credits` shows it."""
    amount = credits_of(amount_micro)
    return f"{amount:,.0f}" if amount == amount.to_integral_value() else format_credits(amount_micro)


@register.filter
def percent_of(part: int, whole: int) -> str:
    """`3 %`, at least `1 %` of something; nothing of nothing."""
    return f"{max(1, (part * 100 + whole // 2) // whole)} %" if whole and part else ""


@register.filter
def entry_url(reference: str) -> str:
    """Where an entry's cause is shown: the call's receipt, or the purchase; nothing for what has no page."""
    kind, _, key = reference.partition(":")
    view = _PAGES.get(kind)
    try:
        return reverse(view, args=[UUID(key)]) if view else ""
    except ValueError:
        return ""


@register.filter
def entry_cause(reference: str) -> str:
    """What the link to an entry's cause is called."""
    return {"voice_session": "The call", "purchase": "The purchase"}.get(reference.partition(":")[0], "")


@register.filter
def purchase_badge(status: str) -> str:
    """The badge's class for where a payment stands."""
    return {
        "paid": "badge--accent", "pending": "badge--warning", "partly_refunded": "badge--warning",
        "failed": "badge--danger", "disputed": "badge--danger",
    }.get(status, "")  # fmt: skip
