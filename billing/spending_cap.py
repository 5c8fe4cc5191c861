"""The most that an organisation lets its calls cost in a month, enforced where credits are set aside."""

from datetime import date, datetime
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from billing import emails
from billing.models import BudgetSettings, Entry, EntryKind, Wallet
from billing.signals import announce, budget_exceeded

log = structlog.get_logger(__name__)


def remaining_this_month_micro(wallet: Wallet) -> int | None:
    """Return how much more may be set aside this month (zero or more), None without a cap.

    Called under the wallet's lock. An open hold counts in full, whenever it was opened: what it captures is paid now.
    So the usage of a month never passes its cap, unless the customer lowers the cap below what was promised already.
    """
    cap_micro = _cap_micro(wallet.organisation_id)
    if cap_micro is None:
        return None
    return max(0, cap_micro - _used_micro(wallet, start_of_month(timezone.now())) - wallet.held_micro)


def used_this_month_micro(organisation_id: UUID) -> int:
    """What this month's settled calls have cost, those that go on not included. Raises Wallet.DoesNotExist."""
    wallet = Wallet.objects.get(organisation_id=organisation_id)
    return _used_micro(wallet, start_of_month(timezone.now()))


def is_told(organisation_id: UUID) -> bool:
    """Say whether this month's refusals by the cap were told of already, or there is no cap any more."""
    budget = BudgetSettings.objects.filter(organisation_id=organisation_id, monthly_cap_micro__isnull=False).first()
    return budget is None or budget.cap_reached_in == _this_month()


def record_reached(organisation_id: UUID) -> None:
    """Write down that the cap refused a call this month, and tell the payers and whoever listens, once."""
    with transaction.atomic():
        budget = BudgetSettings.objects.select_for_update().filter(organisation_id=organisation_id).first()
        # Taken away since, or told by somebody else while we waited for the lock.
        if budget is None or budget.monthly_cap_micro is None or budget.cap_reached_in == _this_month():
            return
        budget.cap_reached_in = _this_month()
        budget.save(update_fields=["cap_reached_in"])
        emails.put_cap_reached(
            organisation_id, month=_this_month().strftime("%Y-%m"), cap_micro=budget.monthly_cap_micro
        )
        announce(budget_exceeded, organisation_id=organisation_id, cap_micro=budget.monthly_cap_micro)
    log.info("spending_cap_reached", organisation_id=str(organisation_id))


def start_of_month(now: datetime) -> datetime:
    """The month is that of settings.TIME_ZONE."""
    return timezone.localtime(now).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _this_month() -> date:
    return start_of_month(timezone.now()).date()


def _cap_micro(organisation_id: UUID) -> int | None:
    caps = BudgetSettings.objects.filter(organisation_id=organisation_id).values_list("monthly_cap_micro", flat=True)
    return caps.first()


def _used_micro(wallet: Wallet, since: datetime) -> int:
    usage = Entry.objects.filter(wallet=wallet, kind=EntryKind.USAGE, created_at__gte=since)
    return -(usage.aggregate(total=Sum("amount_micro"))["total"] or 0)
