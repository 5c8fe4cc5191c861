"""What was given in writing for a payment or a refund: numbered without gaps, never changed."""

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from billing.models.append_only import AppendOnlyModel
from billing.models.bundle import Currency
from billing.models.purchase import Dispute, DisputeStatus, Purchase, Refund, RefundStatus


class ReceiptSeries(models.Model):
    """One seller's numbers of one year, of receipts or credit notes; its row's lock is what keeps them without gaps."""

    name = models.CharField(max_length=8, primary_key=True)
    last_number = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-name"]
        verbose_name_plural = "receipt series"

    def __str__(self) -> str:
        return self.name


class NumberedPaper(AppendOnlyModel):
    """What receipts and credit notes have in common: both parties as they were on the day, and what was charged.

    Money is in minor units of `currency`; `total_minor = subtotal_minor - discount_minor + tax_minor`.
    """

    series = models.ForeignKey(ReceiptSeries, on_delete=models.PROTECT, related_name="%(class)ss")
    number = models.PositiveIntegerField()
    issued_at = models.DateTimeField(default=timezone.now)
    # {"name", "address", "country", "tax_id", "email"}; the address is a list of lines.
    seller = models.JSONField()
    buyer = models.JSONField()
    # [{"description", "quantity", "amount_minor", "tax_code"}]; the amounts add up to subtotal_minor. The code of what
    # was sold (HSN or SAC) may be missing.
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
        abstract = True
        ordering = ["-series", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["series", "number"], name="one_%(class)s_a_number"),
            models.CheckConstraint(condition=Q(number__gte=1), name="%(class)s_number_from_one"),
            models.CheckConstraint(
                condition=Q(total_minor=F("subtotal_minor") - F("discount_minor") + F("tax_minor")),
                name="%(class)s_adds_up",
            ),
            models.CheckConstraint(
                condition=Q(subtotal_minor__gt=0, discount_minor__gte=0, tax_minor__gte=0, total_minor__gte=0),
                name="%(class)s_amounts_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return self.full_number

    @property
    def full_number(self) -> str:
        """`2026-27-000042`: at most sixteen characters, as India's rules want it."""
        return f"{self.series_id}-{self.number:06}"


class Receipt(NumberedPaper):
    """One paid purchase: later changes of names, prices or tax numbers leave it alone.

    What goes back later is not written here: each refund and each lost dispute has a credit note.
    """

    purchase = models.OneToOneField(Purchase, on_delete=models.PROTECT, related_name="receipt")
    paid_at = models.DateTimeField()

    class Meta(NumberedPaper.Meta):
        pass


class CreditNote(NumberedPaper):
    """What one refund, or one lost dispute, gave back of a receipt.

    A refund that fails later, or a dispute that is won on appeal, leaves its note void, never deleted.
    """

    refund = models.OneToOneField(Refund, null=True, on_delete=models.PROTECT, related_name="credit_note")
    dispute = models.OneToOneField(Dispute, null=True, on_delete=models.PROTECT, related_name="credit_note")
    receipt = models.ForeignKey(Receipt, on_delete=models.PROTECT, related_name="credit_notes")

    class Meta(NumberedPaper.Meta):
        constraints = [
            *NumberedPaper.Meta.constraints,
            models.CheckConstraint(
                condition=Q(refund__isnull=False, dispute__isnull=True) | Q(refund__isnull=True, dispute__isnull=False),
                name="creditnote_has_one_cause",
            ),
        ]

    @property
    def is_void(self) -> bool:
        """The money never reached the card, or came back, so the receipt stands as if it had not gone."""
        if self.refund is not None:
            return self.refund.status == RefundStatus.FAILED
        return self.dispute is not None and self.dispute.status == DisputeStatus.WON
