"""What follows from money that moved or is missing: a refill, or a mail about a low balance, a cap or a payment."""

from typing import Any
from uuid import UUID

import structlog
from django.dispatch import receiver

from billing import auto_top_up, emails, low_balance, spending_cap
from billing.auto_top_up import Outlook
from billing.models import Origin, Purchase
from billing.signals import cap_refused, credits_wanted, payment_failed, payment_succeeded, wallet_changed
from billing.tasks import consider_top_up, record_cap_reached

log = structlog.get_logger(__name__)


@receiver(wallet_changed, dispatch_uid="billing.refill_when_low")
def refill_when_low(*, organisation_id: UUID, **_: Any) -> None:
    auto_top_up.consider(organisation_id)


@receiver(wallet_changed, dispatch_uid="billing.tell_when_low")
def tell_when_low(*, organisation_id: UUID, **_: Any) -> None:
    low_balance.check(organisation_id)


@receiver(credits_wanted, dispatch_uid="billing.refill_when_wanted")
def refill_when_wanted(*, organisation_id: UUID, needed_micro: int, **_: Any) -> bool:
    """Answer whether asking again may succeed; a worker begins the attempt, since this may be rolled back."""
    outlook = auto_top_up.outlook(organisation_id, needed_micro=needed_micro)
    if outlook is Outlook.DUE:
        return _hand_over(consider_top_up, organisation_id, needed_micro)
    return outlook is not Outlook.NONE


@receiver(cap_refused, dispatch_uid="billing.tell_of_reached_cap")
def tell_of_reached_cap(*, organisation_id: UUID, **_: Any) -> None:
    """A worker writes it down, since this will be rolled back; should it not come, the next refusal asks again."""
    if not spending_cap.is_told(organisation_id):
        _hand_over(record_cap_reached, organisation_id)


@receiver(payment_succeeded, dispatch_uid="billing.follow_up_payment")
def follow_up_payment(*, purchase_id: UUID, **_: Any) -> None:
    purchase = Purchase.objects.get(id=purchase_id)
    if purchase.origin == Origin.AUTO_TOP_UP:
        auto_top_up.purchase_succeeded(purchase)
    else:
        auto_top_up.put_card_to_remember(purchase)


@receiver(payment_failed, dispatch_uid="billing.tell_of_failed_payment")
def tell_of_failed_payment(*, purchase_id: UUID, **_: Any) -> None:
    purchase = Purchase.objects.get(id=purchase_id)
    # An auto top-up that failed has a mail of its own, once its attempt is closed.
    if purchase.origin == Origin.CHECKOUT:
        emails.put_payment_failed(
            purchase.organisation_id,
            purchase_id=purchase.id,
            amount_minor=purchase.amount_minor,
            currency=purchase.currency,
        )


def _hand_over(task: Any, organisation_id: UUID, *amounts_micro: int) -> bool:
    try:
        task.delay(str(organisation_id), *amounts_micro)
    except Exception as error:
        # The broker is away: nobody will come, and the caller should not wait for it.
        log.warning("not_handed_over", organisation_id=str(organisation_id), error=type(error).__name__)
        return False
    return True
