"""The billing app: every organisation's prepaid credits, and how they move."""

from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "billing"

    def ready(self) -> None:
        from billing import checks, purchase_audit, receipts, receivers, watch  # noqa: F401  connects signals, registers checks
