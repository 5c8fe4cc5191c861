"""A bundle bought, and the money that went back: refunds and disputes."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import Organisation
from billing.models.bundle import Bundle, Currency


class PurchaseStatus(models.TextChoices):
    CREATED = "created", "Created: not paid yet"
    PENDING = "pending", "Pending: the bank has not decided"
    FAILED = "failed", "Failed"
    EXPIRED = "expired", "Expired: never paid"
    PAID = "paid", "Paid"
    PARTLY_REFUNDED = "partly_refunded", "Partly refunded"
    REFUNDED = "refunded", "Refunded"
    DISPUTED = "disputed", "Disputed"


UNDECIDED = (PurchaseStatus.CREATED, PurchaseStatus.PENDING)
# The credits were given, whatever happened to the money since.
CREDITED = (
    PurchaseStatus.PAID,
    PurchaseStatus.PARTLY_REFUNDED,
    PurchaseStatus.REFUNDED,
    PurchaseStatus.DISPUTED,
)


class Origin(models.TextChoices):
    CHECKOUT = "checkout", "Checkout"
    AUTO_TOP_UP = "auto_top_up", "Auto top-up"


class Purchase(models.Model):
    """One attempt to buy a bundle. What is sold is written down before Stripe is asked, and what Stripe says is
    compared with it.

    Money is in minor units of `currency`: `price_minor` is what was asked for, before discount and tax; once it is
    paid, `amount_minor` = price - discount + tax is what was charged. Only billing.purchases writes this row.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="purchases")
    bundle = models.ForeignKey(Bundle, on_delete=models.PROTECT, related_name="purchases")
    bundle_name = models.CharField(max_length=80)
    credits_micro = models.BigIntegerField()
    currency = models.CharField(max_length=3, choices=Currency.choices)
    price_minor = models.BigIntegerField()
    discount_minor = models.BigIntegerField(default=0)
    tax_minor = models.BigIntegerField(default=0)
    amount_minor = models.BigIntegerField()
    refunded_minor = models.BigIntegerField(default=0)
    status = models.CharField(max_length=15, choices=PurchaseStatus.choices, default=PurchaseStatus.CREATED)
    origin = models.CharField(max_length=11, choices=Origin.choices)
    attempt_key = models.CharField(
        max_length=150, null=True, blank=True, unique=True, help_text="Auto top-up: one charge a key, for ever."
    )
    stripe_checkout_id = models.CharField(max_length=200, blank=True)
    stripe_payment_intent_id = models.CharField(max_length=200, blank=True)
    stripe_customer_id = models.CharField(max_length=200, blank=True)
    stripe_payment_method_id = models.CharField(max_length=200, blank=True)
    buyer_name = models.CharField(max_length=200, blank=True)
    buyer_email = models.CharField(max_length=254, blank=True)
    buyer_address = models.JSONField(default=dict, blank=True)
    buyer_tax_id = models.CharField(max_length=60, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)
    paid_at = models.DateTimeField(null=True, blank=True)
    failure = models.CharField(max_length=200, blank=True, help_text="Why it was not paid, or not accepted.")
    # When the sweep asks Stripe next, should neither the redirect nor a webhook have told.
    next_check_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        permissions = [("refund_purchase", "Can refund a purchase")]
        indexes = [
            models.Index(fields=["organisation", "-created_at"], name="purchase_organisation_recent"),
            models.Index(fields=["status", "next_check_at"], name="purchase_to_check"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(status__in=PurchaseStatus.values), name="purchase_status_known"),
            models.CheckConstraint(condition=Q(currency__in=Currency.values), name="purchase_currency_known"),
            models.CheckConstraint(
                condition=Q(
                    credits_micro__gt=0,
                    price_minor__gt=0,
                    amount_minor__gte=0,
                    discount_minor__gte=0,
                    tax_minor__gte=0,
                    refunded_minor__gte=0,
                ),
                name="purchase_amounts_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(status__in=CREDITED, paid_at__isnull=False)
                | (~Q(status__in=CREDITED) & Q(paid_at__isnull=True)),
                name="purchase_paid_at_fits_status",
            ),
            models.UniqueConstraint(
                fields=["stripe_checkout_id"], condition=~Q(stripe_checkout_id=""), name="one_purchase_a_checkout"
            ),
            models.UniqueConstraint(
                fields=["stripe_payment_intent_id"],
                condition=~Q(stripe_payment_intent_id=""),
                name="one_purchase_a_payment_intent",
            ),
        ]

    def __str__(self) -> str:
        return f"purchase {self.pk}"

    @property
    def is_credited(self) -> bool:
        return self.status in CREDITED

    @property
    def is_undecided(self) -> bool:
        return self.status in UNDECIDED

    @property
    def reference(self) -> str:
        """What this purchase's entries carry."""
        return f"purchase:{self.id}"

    def share_micro(self, part_minor: int) -> int:
        """The credits that `part_minor` of what was charged stands for, rounded down, at most all of them.

        It depends on nothing but the part, so refunds may be applied in any order.
        """
        if part_minor >= self.amount_minor:
            return self.credits_micro
        return self.credits_micro * part_minor // self.amount_minor


class RefundStatus(models.TextChoices):
    REQUESTED = "requested", "Requested: not with Stripe yet"
    PENDING = "pending", "Pending"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"


# The credits are gone from the wallet.
REFUND_TAKEN = (RefundStatus.PENDING, RefundStatus.SUCCEEDED)


class Refund(models.Model):
    """Money given back for a purchase, by the operator here or in Stripe's own dashboard.

    `credits_micro` is what it takes from the wallet while it is pending or has succeeded.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    purchase = models.ForeignKey(Purchase, on_delete=models.PROTECT, related_name="refunds")
    stripe_refund_id = models.CharField(max_length=200, null=True, blank=True, unique=True)
    amount_minor = models.BigIntegerField()
    credits_micro = models.BigIntegerField()
    status = models.CharField(max_length=10, choices=RefundStatus.choices, default=RefundStatus.REQUESTED)
    reason = models.CharField(max_length=300, blank=True)
    actor = models.CharField(max_length=254, blank=True)
    failure = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["status", "created_at"], name="refund_to_send")]
        constraints = [
            models.CheckConstraint(condition=Q(status__in=RefundStatus.values), name="refund_status_known"),
            models.CheckConstraint(
                condition=Q(amount_minor__gt=0, credits_micro__gte=0), name="refund_amounts_positive"
            ),
        ]

    def __str__(self) -> str:
        return f"refund {self.pk}"


class DisputeStatus(models.TextChoices):
    INQUIRY = "inquiry", "Inquiry: nothing withdrawn"
    OPEN = "open", "Open: the money is withdrawn"
    LOST = "lost", "Lost"
    WON = "won", "Won: the money is back"


DISPUTE_TAKEN = (DisputeStatus.OPEN, DisputeStatus.LOST)


class Dispute(models.Model):
    """A buyer's bank asking for the money back. `credits_micro` is out of the wallet while it is open or lost."""

    stripe_dispute_id = models.CharField(max_length=200, unique=True)
    purchase = models.ForeignKey(Purchase, on_delete=models.PROTECT, related_name="disputes")
    amount_minor = models.BigIntegerField()
    credits_micro = models.BigIntegerField()
    status = models.CharField(max_length=10, choices=DisputeStatus.choices)
    reason = models.CharField(max_length=60, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(condition=Q(status__in=DisputeStatus.values), name="dispute_status_known"),
            models.CheckConstraint(
                condition=Q(amount_minor__gte=0, credits_micro__gte=0), name="dispute_amounts_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"dispute {self.pk}"
