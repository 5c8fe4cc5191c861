"""What the tests of the billing pages start from: bundles on sale, and purchases in every state."""

from django.utils import timezone

from billing.bundles import seed_bundles
from billing.models import Bundle, Purchase, PurchaseStatus


def make_purchase(organisation, **fields):
    """A paid purchase of the small bundle for $19."""
    seed_bundles()
    bundle = Bundle.objects.get(slug="small")
    status = fields.get("status", PurchaseStatus.PAID)
    is_unpaid = status in ("created", "pending", "failed", "expired")
    defaults = {
        "bundle_name": bundle.name,
        "credits_micro": 2_000_000_000,
        "currency": "USD",
        "price_minor": 1_900,
        "amount_minor": 1_900,
        "status": status,
        "paid_at": None if is_unpaid else timezone.now(),
        "origin": "checkout",
        "buyer_name": "Rosewood Dental Inc.",
        "buyer_address": {"line1": "2 Rose Lane", "city": "Springfield", "country": "US"},
    }
    return Purchase.objects.create(organisation=organisation, bundle=bundle, **{**defaults, **fields})
