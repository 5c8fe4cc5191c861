"""The console's banner about credits that run low."""

from typing import Any

from django import template

from accounts.models import Membership, Organisation
from billing import low_balance, statements

register = template.Library()


@register.inclusion_tag("billing/_banner.html")
def low_balance_banner(organisation: Organisation, membership: Membership | None) -> dict[str, Any]:
    """Say so when what is left is under the highest amount that the organisation wants to be told at."""
    left_micro = low_balance.left_micro(organisation.pk)
    thresholds = low_balance.budget_of(organisation.pk).low_balance_thresholds_micro
    return {
        "left_micro": left_micro,
        "is_low": left_micro < max(thresholds, default=0),
        "is_gone": left_micro <= 0,
        "why_nothing_given": statements.why_nothing_given(organisation.pk) if left_micro == 0 else None,
        "membership": membership,
        "organisation": organisation,
    }
