"""Tell the payers when what is left falls under a threshold of theirs: once a crossing, again after a refill."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import F, Sum
from django.db.models.functions import Coalesce

from billing import emails
from billing.exceptions import InvalidSetting
from billing.models import BudgetSettings, Hold, HoldStatus, Wallet
from billing.signals import announce, credits_low

MAX_THRESHOLDS = 5
# Ten million credits: beyond any wallet one would want to be told about.
MAX_THRESHOLD_MICRO = 10**13

log = structlog.get_logger(__name__)


def budget_of(organisation_id: UUID) -> BudgetSettings:
    """Return the organisation's settings; the defaults, not stored, when it never had any."""
    found = BudgetSettings.objects.filter(organisation_id=organisation_id).first()
    return found or BudgetSettings(organisation_id=organisation_id)


def save_budget(
    organisation_id: UUID, *, low_balance_thresholds_micro: Iterable[int], monthly_cap_micro: int | None
) -> BudgetSettings:
    """Set when to be told and what a month may cost (None: no cap). Raises InvalidSetting.

    A threshold that lies above what is left now is not mailed about: whoever sets it sees the balance.
    """
    thresholds_micro = sorted(set(low_balance_thresholds_micro), reverse=True)
    if len(thresholds_micro) > MAX_THRESHOLDS:
        raise InvalidSetting("low_balance_thresholds_micro", f"Name at most {MAX_THRESHOLDS} amounts.")
    if any(not 0 < threshold_micro <= MAX_THRESHOLD_MICRO for threshold_micro in thresholds_micro):
        raise InvalidSetting("low_balance_thresholds_micro", "Each amount must be more than zero credits.")
    if monthly_cap_micro is not None and not 0 <= monthly_cap_micro <= MAX_THRESHOLD_MICRO:
        raise InvalidSetting("monthly_cap_micro", "The cap cannot be less than zero credits.")
    with transaction.atomic():
        budget = _lock_budget(organisation_id)
        budget.low_balance_thresholds_micro = thresholds_micro
        budget.low_balance_level_micro = _level(left_micro(organisation_id), thresholds_micro)
        if budget.monthly_cap_micro != monthly_cap_micro:
            # Another cap is another promise: reaching it is news again.
            budget.cap_reached_in = None
        budget.monthly_cap_micro = monthly_cap_micro
        budget.save()
    return budget


def check(organisation_id: UUID) -> None:
    """Mail the payers if what is left has fallen under a lower threshold than when it was last looked at.

    Called after every movement, so it only reads unless a threshold was crossed, in either direction.
    """
    budget = _budget_beside_wallet(organisation_id)
    if budget and not _may_have_crossed(budget):
        return
    with transaction.atomic():
        is_new, budget = budget is None, _lock_budget(organisation_id)
        # Read again under the lock: of two movements that cross together, one tells.
        now_left_micro = left_micro(organisation_id)
        level_micro, before_micro = _level(now_left_micro, _thresholds(budget)), budget.low_balance_level_micro
        if level_micro == before_micro:
            return
        budget.low_balance_level_micro = level_micro
        # Seen for the first time: nobody can say that anything has fallen.
        if not is_new and level_micro is not None and (before_micro is None or level_micro < before_micro):
            budget.low_balance_crossings += 1
            emails.put_low_balance(organisation_id, crossing=budget.low_balance_crossings, threshold_micro=level_micro)
            announce(
                credits_low,
                organisation_id=organisation_id,
                threshold_micro=level_micro,
                balance_micro=now_left_micro,
            )
            log.info("low_balance", organisation_id=str(organisation_id), threshold_micro=level_micro)
        budget.save()


def left_micro(organisation_id: UUID) -> int:
    """The balance less what running calls have used of their holds so far; zero without a wallet.

    Not what is available: a hold comes and goes with each call, and would cross the threshold each time.
    """
    wallet = Wallet.objects.filter(organisation_id=organisation_id).first()
    if wallet is None:
        return 0
    if not wallet.held_micro:
        return wallet.balance_micro
    in_use = Hold.objects.filter(wallet=wallet, status=HoldStatus.OPEN)
    captured_micro: int = in_use.aggregate(total=Coalesce(Sum("captured_micro"), 0))["total"]
    return wallet.balance_micro - captured_micro


def _budget_beside_wallet(organisation_id: UUID) -> BudgetSettings | None:
    wallet = {name: F(f"organisation__wallet__{name}") for name in ("balance_micro", "held_micro")}
    return BudgetSettings.objects.filter(organisation_id=organisation_id).annotate(**wallet).first()


def _may_have_crossed(budget: Any) -> bool:
    """Say whether what is left is under other thresholds than when it was last looked at.

    It lies between the balance less all that is held, and the balance. What holds have used is added up only where
    that makes a difference.
    """
    thresholds_micro = _thresholds(budget)
    most_micro: int = budget.balance_micro or 0
    level_micro = _level(most_micro, thresholds_micro)
    if level_micro != _level(most_micro - (budget.held_micro or 0), thresholds_micro):
        level_micro = _level(left_micro(budget.organisation_id), thresholds_micro)
    return bool(level_micro != budget.low_balance_level_micro)


def _lock_budget(organisation_id: UUID) -> BudgetSettings:
    BudgetSettings.objects.get_or_create(organisation_id=organisation_id)
    return BudgetSettings.objects.select_for_update().get(organisation_id=organisation_id)


def _thresholds(budget: BudgetSettings) -> list[int]:
    return [int(threshold_micro) for threshold_micro in budget.low_balance_thresholds_micro]


def _level(amount_micro: int, thresholds_micro: Iterable[int]) -> int | None:
    return min((threshold for threshold in thresholds_micro if amount_micro < threshold), default=None)
