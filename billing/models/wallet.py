"""An organisation's balance: what its entries add up to, and what its open holds promise away."""

from django.db import models
from django.utils import timezone

from accounts.models import Organisation


class Wallet(models.Model):
    """Two projections, in micro-credits, kept under this row's lock by billing.ledger and checked by billing.audit.

    `balance_micro` is the sum of the entries and may be negative after a refund or a dispute; `held_micro` is the sum
    of the full amounts of the open holds. No granted credits that are left expire before `lots_expire_at`, so that a
    hold need not look for any.
    """

    organisation = models.OneToOneField(Organisation, on_delete=models.PROTECT, related_name="wallet")
    balance_micro = models.BigIntegerField(default=0)
    held_micro = models.BigIntegerField(default=0)
    lots_expire_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["organisation__name"]
        permissions = [("adjust_wallet", "Can adjust a wallet by hand")]
        indexes = [
            models.Index(
                fields=["lots_expire_at"], condition=models.Q(lots_expire_at__isnull=False), name="wallet_lots_expire"
            ),
        ]
        constraints = [
            models.CheckConstraint(condition=models.Q(held_micro__gte=0), name="wallet_held_not_negative"),
        ]

    def __str__(self) -> str:
        return f"wallet {self.pk}"

    @property
    def available_micro(self) -> int:
        return self.balance_micro - self.held_micro
