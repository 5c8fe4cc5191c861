"""The billing app: every organisation's prepaid credits, and how they move."""

from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "billing"

    def ready(self) -> None:
        # Connects signals, registers checks.
        from billing import checks, credit_notes, purchase_audit, receipts, receivers, watch  # noqa: F401
