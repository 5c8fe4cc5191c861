"""Credits that came together, and what each movement took of them."""

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from billing.models.append_only import AppendOnlyModel
from billing.models.entry import Entry
from billing.models.wallet import Wallet


class LotKind(models.TextChoices):
    GRANTED = "granted", "Granted"
    PURCHASED = "purchased", "Purchased"


class Lot(models.Model):
    """What one positive entry brought and what is left of it, in micro-credits.

    The lots of a wallet add up to its balance, or to nothing when that is below zero. Granted credits are spent first,
    may expire and are never refunded; purchased ones never expire.
    """

    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, related_name="lots")
    kind = models.CharField(max_length=10, choices=LotKind.choices)
    entry = models.OneToOneField(Entry, on_delete=models.PROTECT, related_name="lot")
    amount_micro = models.BigIntegerField()
    remaining_micro = models.BigIntegerField()
    expires_at = models.DateTimeField(null=True, blank=True)
    # The entry's: a refund finds what is left of its purchase by it.
    reference = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["wallet"], condition=Q(remaining_micro__gt=0), name="lot_unspent"),
            models.Index(fields=["expires_at"], condition=Q(remaining_micro__gt=0), name="lot_unspent_expiry"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=LotKind.values), name="lot_kind_known"),
            models.CheckConstraint(condition=Q(amount_micro__gt=0), name="lot_amount_positive"),
            models.CheckConstraint(
                condition=Q(remaining_micro__gte=0, remaining_micro__lte=F("amount_micro")),
                name="lot_remaining_within_amount",
            ),
            models.CheckConstraint(
                condition=~Q(kind=LotKind.PURCHASED) | Q(expires_at__isnull=True), name="lot_purchased_never_expires"
            ),
        ]

    def __str__(self) -> str:
        return f"lot {self.pk}"


class Draw(AppendOnlyModel):
    """What one entry took of one lot; a positive entry takes of its own lot what it pays back of a debt."""

    lot = models.ForeignKey(Lot, on_delete=models.PROTECT, related_name="draws")
    entry = models.ForeignKey(Entry, on_delete=models.PROTECT, related_name="draws")
    amount_micro = models.BigIntegerField()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["lot", "entry"], name="one_draw_a_lot_and_entry"),
            models.CheckConstraint(condition=Q(amount_micro__gt=0), name="draw_amount_positive"),
        ]

    def __str__(self) -> str:
        return f"draw {self.pk}"
