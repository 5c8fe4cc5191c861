"""What the admin's front page asks for: today's figures, and dollars short enough for a tile."""

from django import template

from billing.formatting import format_money
from billing.ledger import MICRO
from voice.admin.today import Today, today_at_a_glance

register = template.Library()


@register.simple_tag
def operations_today() -> Today:
    return today_at_a_glance()


@register.filter
def whole_cents(amount_micro: int) -> str:
    """`$0.73`: a credit is a cent, so whole credits, rounded to the nearest."""
    return format_money((amount_micro + MICRO // 2) // MICRO * MICRO, "USD")
