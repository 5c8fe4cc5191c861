"""What is on sale: packs of credits, with a price in each currency."""

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

# Stripe refuses less than 0.50 USD; the rupee's floor is lower still, and no bundle is that small.
MIN_PRICE_MINOR = 50
# Stripe India takes at most 10 000 USD a payment, and 1 USD is 100 credits is 100 INR here.
MAX_PRICE_USD_MINOR = 10_000 * 100
MAX_PRICE_INR_MINOR = 1_000_000 * 100
MAX_BUNDLE_CREDITS = 10_000_000


class Currency(models.TextChoices):
    INR = "INR", "Indian rupee"
    USD = "USD", "US dollar"


class Bundle(models.Model):
    """A number of credits on sale from `valid_from` until `valid_until` (for ever without one) while it is active.

    Changing a bundle changes no purchase: each keeps what was bought and for how much.
    """

    slug = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=80)
    credits = models.PositiveIntegerField()
    is_active = models.BooleanField(default=True)
    valid_from = models.DateTimeField(default=timezone.now)
    valid_until = models.DateTimeField(null=True, blank=True)
    sort = models.PositiveSmallIntegerField(default=0, help_text="Smaller ones come first.")

    class Meta:
        ordering = ["sort", "credits"]
        constraints = [
            models.CheckConstraint(
                condition=Q(credits__gte=1, credits__lte=MAX_BUNDLE_CREDITS), name="bundle_credits_in_range"
            ),
            models.CheckConstraint(
                condition=Q(valid_until__isnull=True) | Q(valid_until__gt=F("valid_from")),
                name="bundle_validity_in_order",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class BundlePrice(models.Model):
    """What a bundle costs in one currency, before tax, in minor units (paise, cents)."""

    bundle = models.ForeignKey(Bundle, on_delete=models.CASCADE, related_name="prices")
    currency = models.CharField(max_length=3, choices=Currency.choices)
    amount_minor = models.PositiveIntegerField(help_text="In paise or cents, before tax.")

    class Meta:
        ordering = ["currency"]
        constraints = [
            models.UniqueConstraint(fields=["bundle", "currency"], name="one_price_a_currency"),
            models.CheckConstraint(condition=Q(currency__in=Currency.values), name="bundle_price_currency_known"),
            models.CheckConstraint(
                condition=Q(amount_minor__gte=MIN_PRICE_MINOR)
                & (
                    Q(currency=Currency.USD, amount_minor__lte=MAX_PRICE_USD_MINOR)
                    | Q(currency=Currency.INR, amount_minor__lte=MAX_PRICE_INR_MINOR)
                ),
                name="bundle_price_in_range",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount_minor} {self.currency} minor"
