"""What endpoints are told of money: payments, and credits that run low. Written with what billing writes down."""

from typing import Any
from uuid import UUID

from django.dispatch import receiver
from django.utils import timezone

from billing.signals import budget_exceeded, credits_low, payment_failed, payment_succeeded
from billing.statements import find_purchase
from voice.models import EventType
from voice.webhooks.events import emit


@receiver(payment_succeeded, dispatch_uid="voice.tell_of_payment")
def tell_of_payment(*, purchase_id: UUID, **_: Any) -> None:
    _emit_payment(EventType.PAYMENT_SUCCEEDED, purchase_id)


@receiver(payment_failed, dispatch_uid="voice.tell_of_failed_payment")
def tell_of_failed_payment(*, purchase_id: UUID, **_: Any) -> None:
    _emit_payment(EventType.PAYMENT_FAILED, purchase_id)


@receiver(credits_low, dispatch_uid="voice.tell_of_low_credits")
def tell_of_low_credits(*, organisation_id: UUID, threshold_micro: int, balance_micro: int, **_: Any) -> None:
    data = {"threshold_micro": threshold_micro, "balance_micro": balance_micro}
    # Billing says it once a crossing, in the transaction that writes it down: no two are the same.
    key = f"credits_low:{threshold_micro}:{timezone.now().isoformat()}"
    emit(organisation_id, EventType.CREDITS_LOW, data, key=key)


@receiver(budget_exceeded, dispatch_uid="voice.tell_of_budget")
def tell_of_budget(*, organisation_id: UUID, cap_micro: int, **_: Any) -> None:
    month = f"{timezone.localdate():%Y-%m}"
    data = {"cap_micro": cap_micro, "month": month}
    emit(organisation_id, EventType.BUDGET_EXCEEDED, data, key=f"budget_exceeded:{month}:{cap_micro}")


def _emit_payment(type: EventType, purchase_id: UUID) -> None:
    purchase = find_purchase(purchase_id)
    data = {
        "purchase_id": str(purchase.pk),
        "credits_micro": purchase.credits_micro,
        "amount_minor": purchase.amount_minor,
        "currency": purchase.currency,
        "origin": purchase.origin,
    }
    emit(purchase.organisation_id, type, data, key=f"{type}:{purchase_id}")
