"""Filters for amounts in micro-credits: {{ micro|credits }}, {{ micro|exact_credits }}, {{ micro|money:"INR" }}."""

from django import template

from billing.formatting import format_credits, format_exact_credits, format_money

register = template.Library()


@register.filter
def credits(amount_micro: int | None) -> str:
    """`3.42`; nothing for None, so that a column may be empty."""
    return "" if amount_micro is None else format_credits(amount_micro)


@register.filter
def exact_credits(amount_micro: int | None) -> str:
    """`3.421507`: as many decimals as the amount has."""
    return "" if amount_micro is None else format_exact_credits(amount_micro)


@register.filter
def money(amount_micro: int | None, currency: str) -> str:
    """`₹3.42` or `$0.0342`. Raises ValueError for an unknown currency."""
    return "" if amount_micro is None else format_money(amount_micro, currency)
