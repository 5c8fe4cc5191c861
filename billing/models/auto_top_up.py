"""Buying credits before they run out, with a saved card, and every attempt at it."""

import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import Organisation
from billing.models.bundle import Bundle, Currency
from billing.models.purchase import Purchase


class OffReason(models.TextChoices):
    """Why auto top-up is off although its customer had switched it on."""

    NONE = "", "-"
    DECLINED = "declined", "Declined several times"
    UNKNOWN = "unknown", "No clear answer from the payment service"
    CARD = "card", "The saved card cannot be charged without its owner"


class AutoTopUp(models.Model):
    """What one organisation wants bought, when, and with which card. Only billing.auto_top_up writes this row.

    `monthly_ceiling_minor` bounds what auto top-up may spend in a calendar month, before tax, in minor units of
    `currency`. Nothing is attempted before `next_attempt_at`.
    """

    organisation = models.OneToOneField(Organisation, on_delete=models.CASCADE, related_name="auto_top_up")
    is_on = models.BooleanField(default=False)
    off_reason = models.CharField(max_length=10, choices=OffReason.choices, blank=True, default=OffReason.NONE)
    threshold_micro = models.BigIntegerField(default=0)
    bundle = models.ForeignKey(Bundle, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    currency = models.CharField(max_length=3, choices=Currency.choices, blank=True)
    monthly_ceiling_minor = models.BigIntegerField(default=0)
    # Stripe's ids of the buyer and the card; the label is what a person recognises: "Visa ending in 4242".
    customer_id = models.CharField(max_length=200, blank=True)
    payment_method_id = models.CharField(max_length=200, blank=True)
    card_label = models.CharField(max_length=80, blank=True)
    can_charge_off_session = models.BooleanField(default=False)
    declines_in_a_row = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = "auto top-up"
        ordering = ["organisation__name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(is_on=False)
                | Q(
                    threshold_micro__gt=0,
                    bundle__isnull=False,
                    currency__in=Currency.values,
                    monthly_ceiling_minor__gt=0,
                    can_charge_off_session=True,
                )
                & ~Q(payment_method_id=""),
                name="auto_top_up_on_is_complete",
            ),
            models.CheckConstraint(condition=Q(is_on=False) | Q(off_reason=""), name="auto_top_up_off_has_reason"),
        ]

    def __str__(self) -> str:
        return f"auto top-up of {self.organisation_id}"


class AttemptState(models.TextChoices):
    OPEN = "open", "In progress"
    SUCCEEDED = "succeeded", "Succeeded"
    DECLINED = "declined", "Declined"
    NEEDS_CONFIRMATION = "needs_confirmation", "The bank wants it confirmed"
    UNKNOWN = "unknown", "No clear answer"


class AutoTopUpAttempt(models.Model):
    """One attempt to charge the saved card. The database lets one a wallet be open, whoever races.

    `amount_minor` is the bundle's price when it began, which counts against the month until the attempt has failed.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    top_up = models.ForeignKey(AutoTopUp, on_delete=models.CASCADE, related_name="attempts")
    bundle = models.ForeignKey(Bundle, on_delete=models.PROTECT, related_name="+")
    credits_micro = models.BigIntegerField()
    currency = models.CharField(max_length=3, choices=Currency.choices)
    amount_minor = models.BigIntegerField()
    state = models.CharField(max_length=20, choices=AttemptState.choices, default=AttemptState.OPEN)
    failure = models.CharField(max_length=100, blank=True, help_text="The payment service's code.")
    purchase = models.OneToOneField(Purchase, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    started_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "auto top-up attempt"
        ordering = ["-started_at"]
        indexes = [models.Index(fields=["top_up", "-started_at"], name="attempt_recent")]
        constraints = [
            models.UniqueConstraint(
                fields=["top_up"], condition=Q(state=AttemptState.OPEN), name="one_open_attempt_a_wallet"
            ),
            models.CheckConstraint(condition=Q(credits_micro__gt=0, amount_minor__gt=0), name="attempt_buys_something"),
            models.CheckConstraint(
                condition=Q(state=AttemptState.OPEN, ended_at__isnull=True)
                | (~Q(state=AttemptState.OPEN) & Q(ended_at__isnull=False)),
                name="attempt_ended_at_fits_state",
            ),
        ]

    def __str__(self) -> str:
        return f"attempt {self.pk}"

    @property
    def key(self) -> str:
        """The charge's idempotency key, for ever."""
        return f"auto_top_up:{self.id}"

    @property
    def is_open(self) -> bool:
        return self.state == AttemptState.OPEN
