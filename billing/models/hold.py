"""Credits set aside before they are used, and what was used of them."""

import uuid

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from billing.models.append_only import AppendOnlyModel
from billing.models.wallet import Wallet


class HoldStatus(models.TextChoices):
    OPEN = "open", "Open"
    CAPTURED = "captured", "Captured"
    RELEASED = "released", "Released"
    EXPIRED = "expired", "Expired"


class Hold(models.Model):
    """Micro-credits promised to one call. The full amount is unavailable to others until the hold is closed.

    `available_after_micro` is what the wallet had left when the hold was opened or last extended: the constraint on it
    is the database's own refusal to overspend. `uncollected_micro` is usage beyond the hold, recorded but not charged.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, related_name="holds")
    key = models.CharField(max_length=200, unique=True)
    reference = models.CharField(max_length=200, blank=True)
    status = models.CharField(max_length=10, choices=HoldStatus.choices, default=HoldStatus.OPEN)
    # What was asked for at first: a repeat of the opening is recognised by it, even after an extension.
    opened_amount_micro = models.BigIntegerField()
    amount_micro = models.BigIntegerField()
    captured_micro = models.BigIntegerField(default=0)
    uncollected_micro = models.BigIntegerField(default=0)
    available_after_micro = models.BigIntegerField()
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["status", "expires_at"], name="hold_status_expiry"),
            models.Index(fields=["wallet", "status"], name="hold_wallet_status"),
            models.Index(fields=["reference"], name="hold_reference"),
        ]
        constraints = [
            models.CheckConstraint(condition=~Q(key=""), name="hold_has_key"),
            models.CheckConstraint(condition=Q(opened_amount_micro__gt=0), name="hold_amount_positive"),
            models.CheckConstraint(condition=Q(amount_micro__gte=F("opened_amount_micro")), name="hold_never_shrinks"),
            models.CheckConstraint(
                condition=Q(captured_micro__gte=0, captured_micro__lte=F("amount_micro")),
                name="hold_captured_within_amount",
            ),
            models.CheckConstraint(condition=Q(uncollected_micro__gte=0), name="hold_uncollected_not_negative"),
            models.CheckConstraint(condition=Q(available_after_micro__gte=0), name="hold_never_overdraws"),
            models.CheckConstraint(
                condition=Q(status=HoldStatus.OPEN, settled_at__isnull=True)
                | Q(status=HoldStatus.CAPTURED, settled_at__isnull=False, captured_micro__gt=0)
                | Q(status=HoldStatus.RELEASED, settled_at__isnull=False, captured_micro=0)
                | Q(status=HoldStatus.EXPIRED, settled_at__isnull=False),
                name="hold_status_fits_what_was_captured",
            ),
        ]

    def __str__(self) -> str:
        return f"hold {self.pk}"

    @property
    def is_open(self) -> bool:
        return self.status == HoldStatus.OPEN

    @property
    def remaining_micro(self) -> int:
        return self.amount_micro - self.captured_micro


class Capture(AppendOnlyModel):
    """One response's or transcription's charge against a hold; its key makes a repeat harmless."""

    hold = models.ForeignKey(Hold, on_delete=models.PROTECT, related_name="captures")
    key = models.CharField(max_length=200)
    amount_micro = models.BigIntegerField(help_text="What was used.")
    captured_micro = models.BigIntegerField(help_text="What of it the hold covered.")
    uncollected_micro = models.BigIntegerField(help_text="What of it the hold did not cover.")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["hold", "key"], name="one_capture_a_key"),
            models.CheckConstraint(condition=~Q(key=""), name="capture_has_key"),
            models.CheckConstraint(
                condition=Q(captured_micro__gte=0, uncollected_micro__gte=0), name="capture_parts_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(amount_micro=F("captured_micro") + F("uncollected_micro")), name="capture_adds_up"
            ),
        ]

    def __str__(self) -> str:
        return f"capture {self.pk}"
