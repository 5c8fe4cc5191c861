"""How an organisation watches its own spending: when to be told, and how much a month may cost."""

from django.db import models
from django.db.models import Q

from accounts.models import Organisation

MICRO = 1_000_000
# What sign-up gives is 1000: told once while there is time to act, and once when there is hardly any.
DEFAULT_THRESHOLDS_MICRO = (200 * MICRO, 50 * MICRO)


def default_thresholds_micro() -> list[int]:
    return list(DEFAULT_THRESHOLDS_MICRO)


class BudgetSettings(models.Model):
    """Written by billing.low_balance only.

    `low_balance_level_micro` is the lowest threshold that what is left was last seen under, null above them all: a mail
    goes out when it falls, and never when it rises, so each crossing is told once.
    """

    organisation = models.OneToOneField(Organisation, on_delete=models.CASCADE, related_name="budget")
    low_balance_thresholds_micro = models.JSONField(default=default_thresholds_micro)
    low_balance_level_micro = models.BigIntegerField(null=True, editable=False)
    # Numbers the crossings, so that each has an outbox key of its own.
    low_balance_crossings = models.PositiveIntegerField(default=0, editable=False)
    monthly_cap_micro = models.BigIntegerField(null=True, blank=True)
    # The first day of the month in which the cap last refused a call, so that each month is told once.
    cap_reached_in = models.DateField(null=True, editable=False)

    class Meta:
        verbose_name_plural = "budget settings"
        constraints = [
            models.CheckConstraint(
                condition=Q(monthly_cap_micro__isnull=True) | Q(monthly_cap_micro__gte=0),
                name="budget_cap_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return f"budget of {self.organisation_id}"
