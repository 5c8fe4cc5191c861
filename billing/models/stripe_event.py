"""What Stripe told us, kept until it has been acted upon, and what was turned away at the door."""

from django.db import models
from django.db.models import Q
from django.utils import timezone


class StripeEventState(models.TextChoices):
    RECEIVED = "received", "Received"
    HANDLED = "handled", "Handled"
    IGNORED = "ignored", "Ignored: of a kind we do not need"
    FAILED = "failed", "Failed: tried again later"
    REFUSED = "refused", "Refused: not what we sold"


class StripeEvent(models.Model):
    """One signed event. It becomes handled in the transaction that moves the money, so never before and never without.

    `next_attempt_at` is when the sweep takes it; none: it is finished, or given up.
    """

    event_id = models.CharField(max_length=200, unique=True)
    type = models.CharField(max_length=100)
    object_id = models.CharField(max_length=200, blank=True)
    payload = models.JSONField(default=dict)
    received_at = models.DateTimeField(default=timezone.now)
    state = models.CharField(max_length=10, choices=StripeEventState.choices, default=StripeEventState.RECEIVED)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=200, blank=True)
    handled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-received_at"]
        verbose_name = "Stripe event"
        permissions = [("replay_stripeevent", "Can replay a Stripe event")]
        indexes = [
            models.Index(fields=["state", "next_attempt_at"], name="stripe_event_to_handle"),
            models.Index(fields=["object_id"], name="stripe_event_object"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=StripeEventState.values), name="stripe_event_state_known"),
            models.CheckConstraint(
                condition=Q(state=StripeEventState.HANDLED, handled_at__isnull=False)
                | (~Q(state=StripeEventState.HANDLED) & Q(handled_at__isnull=True)),
                name="stripe_event_handled_at_fits_state",
            ),
        ]

    def __str__(self) -> str:
        return self.event_id


class RefusedDelivery(models.Model):
    """Deliveries that were not proven to come from Stripe: one row a day and reason, so that nobody can fill a table.

    Nothing of their content is kept: whoever sent them may have made it up.
    """

    day = models.DateField(default=timezone.localdate)
    reason = models.CharField(max_length=40)
    count = models.PositiveIntegerField(default=1, help_text="At least: of many within a few seconds one is counted.")
    last_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-day", "reason"]
        verbose_name_plural = "refused deliveries"
        constraints = [models.UniqueConstraint(fields=["day", "reason"], name="one_refusal_row_a_day_and_reason")]

    def __str__(self) -> str:
        return f"{self.day} {self.reason}"
