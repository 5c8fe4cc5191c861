"""What was given in writing for a payment: numbered without gaps, never changed."""

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from billing.models.append_only import AppendOnlyModel
from billing.models.bundle import Currency
from billing.models.purchase import Purchase


class ReceiptSeries(models.Model):
    """One seller's numbers of one year; its row's lock is what keeps them without gaps."""

    name = models.CharField(max_length=7, primary_key=True)
    last_number = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-name"]
        verbose_name_plural = "receipt series"

    def __str__(self) -> str:
        return self.name


class Receipt(AppendOnlyModel):
    """One paid purchase as it was on the day: later changes of names, prices or tax numbers leave it alone.

    Money is in minor units of `currency`; `total_minor = subtotal_minor - discount_minor + tax_minor`. What is refunded
    later is not written here: it is told by the purchase.
    """

    purchase = models.OneToOneField(Purchase, on_delete=models.PROTECT, related_name="receipt")
    series = models.ForeignKey(ReceiptSeries, on_delete=models.PROTECT, related_name="receipts")
    number = models.PositiveIntegerField()
    issued_at = models.DateTimeField(default=timezone.now)
    paid_at = models.DateTimeField()
    # {"name", "address", "country", "tax_id", "email"}; the buyer's address is a list of lines too.
    seller = models.JSONField()
    buyer = models.JSONField()
    # [{"description", "quantity", "amount_minor"}]; the amounts add up to subtotal_minor.
    lines = models.JSONField()
    # [{"label", "amount_minor"}], which add up to tax_minor.
    taxes = models.JSONField(default=list)
    note = models.CharField(max_length=300, blank=True)
    currency = models.CharField(max_length=3, choices=Currency.choices)
    subtotal_minor = models.BigIntegerField()
    discount_minor = models.BigIntegerField(default=0)
    tax_minor = models.BigIntegerField(default=0)
    total_minor = models.BigIntegerField()

    class Meta:
        ordering = ["-series", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["series", "number"], name="one_receipt_a_number"),
            models.CheckConstraint(condition=Q(number__gte=1), name="receipt_number_from_one"),
            models.CheckConstraint(
                condition=Q(total_minor=F("subtotal_minor") - F("discount_minor") + F("tax_minor")),
                name="receipt_adds_up",
            ),
            models.CheckConstraint(
                condition=Q(subtotal_minor__gt=0, discount_minor__gte=0, tax_minor__gte=0, total_minor__gte=0),
                name="receipt_amounts_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return self.full_number

    @property
    def full_number(self) -> str:
        """`2026-27-000042`: at most sixteen characters, as India's rules want it."""
        return f"{self.series_id}-{self.number:06}"
