"""One immutable signed movement of a wallet."""

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from billing.models.append_only import AppendOnlyModel
from billing.models.hold import Hold
from billing.models.wallet import Wallet


class EntryKind(models.TextChoices):
    GRANT = "grant", "Grant"
    PURCHASE = "purchase", "Purchase"
    USAGE = "usage", "Usage"
    REFUND = "refund", "Refund"
    DISPUTE = "dispute", "Dispute"
    ADJUSTMENT = "adjustment", "Adjustment"
    EXPIRY = "expiry", "Expiry"


class Entry(AppendOnlyModel):
    """Amounts are micro-credits; `amount_micro` is signed as the wallet feels it.

    The balance may go below zero only by a refund, a dispute or an adjustment. Usage cannot lower what is available:
    it belongs to one hold, whose full amount was set aside before, and never exceeds it. An expiry leaves what open
    holds were promised.
    """

    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, related_name="entries")
    kind = models.CharField(max_length=10, choices=EntryKind.choices)
    key = models.CharField(max_length=200, unique=True, help_text="Idempotency: one movement a key, for ever.")
    amount_micro = models.BigIntegerField()
    # Stored beside the amount so that the database itself can check the sum, and the audit the chain.
    balance_before_micro = models.BigIntegerField()
    balance_after_micro = models.BigIntegerField()
    held_after_micro = models.BigIntegerField()
    hold = models.OneToOneField(Hold, null=True, on_delete=models.PROTECT, related_name="entry")
    # The hold's amount when it was settled: a constraint cannot look into another table.
    hold_amount_micro = models.BigIntegerField(null=True)
    reference = models.CharField(max_length=200, blank=True, help_text="What it was for: voice_session:<id>.")
    description = models.CharField(max_length=300, blank=True)
    actor = models.CharField(max_length=254, blank=True, help_text="Who made an adjustment or a grant.")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "entries"
        indexes = [
            models.Index(fields=["wallet", "-id"], name="entry_wallet_recent"),
            models.Index(fields=["wallet", "kind", "created_at"], name="entry_wallet_kind_time"),
            models.Index(fields=["created_at"], name="entry_created"),
            models.Index(fields=["reference"], name="entry_reference"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=EntryKind.values), name="entry_kind_known"),
            models.CheckConstraint(condition=~Q(key=""), name="entry_has_key"),
            models.CheckConstraint(condition=~Q(amount_micro=0), name="entry_moves_something"),
            models.CheckConstraint(
                condition=Q(balance_after_micro=F("balance_before_micro") + F("amount_micro")),
                name="entry_adds_up",
            ),
            models.CheckConstraint(condition=Q(held_after_micro__gte=0), name="entry_held_not_negative"),
            models.CheckConstraint(
                condition=~Q(kind__in=[EntryKind.GRANT, EntryKind.PURCHASE]) | Q(amount_micro__gt=0),
                name="entry_grant_or_purchase_is_positive",
            ),
            models.CheckConstraint(
                condition=Q(
                    kind=EntryKind.USAGE,
                    hold__isnull=False,
                    hold_amount_micro__isnull=False,
                    amount_micro__lt=0,
                    amount_micro__gte=0 - F("hold_amount_micro"),
                )
                | (~Q(kind=EntryKind.USAGE) & Q(hold__isnull=True, hold_amount_micro__isnull=True)),
                name="entry_usage_is_within_its_hold",
            ),
            models.CheckConstraint(
                condition=~Q(kind=EntryKind.ADJUSTMENT) | ~Q(description=""), name="entry_adjustment_has_a_reason"
            ),
            models.CheckConstraint(
                condition=~Q(kind=EntryKind.EXPIRY)
                | Q(amount_micro__lt=0, balance_after_micro__gte=F("held_after_micro")),
                name="entry_expiry_leaves_what_is_held",
            ),
        ]

    def __str__(self) -> str:
        return f"entry {self.pk}"
