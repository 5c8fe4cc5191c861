"""Credits for signing up: once a person, for ever, and never more in a day than the operator allows."""

from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from billing import ledger
from billing.models import SignUpDay, SignUpGrant, SignUpGrantStatus

DESCRIPTION = "Credits to start with"

log = structlog.get_logger(__name__)


def grant_sign_up_credits(organisation_id: UUID, person_key: str) -> bool:
    """Grant settings.SIGN_UP_CREDITS to the organisation of a verified person; True when this call granted them.

    False when the person had them before, when there is nothing to grant, or when settings.SIGN_UP_CREDITS_A_DAY would
    be passed: that refusal is logged and kept as a SignUpGrant row, and a later call may turn it into a grant. Locks
    are taken in one order, person, day, wallet, so that concurrent calls wait for each other and never deadlock.
    Raises LedgerError.
    """
    amount_micro = settings.SIGN_UP_CREDITS * ledger.MICRO
    if amount_micro == 0:
        return False
    ledger.open_wallet(organisation_id)
    with transaction.atomic():
        row = _lock_person(person_key, organisation_id)
        if row.status == SignUpGrantStatus.GRANTED:
            return False
        if not _take_from_today(amount_micro):
            log.warning("sign_up_grant_refused_by_daily_ceiling", organisation_id=str(organisation_id))
            return False
        _grant(row, organisation_id, amount_micro)
        return True


def grant_refused(person_key: str) -> bool:
    """Grant by the operator's decision what the day's ceiling refused; True when this call granted it.

    It goes to the organisation that was refused and does not count against the day. Raises LedgerError, and
    SignUpGrant.DoesNotExist for a person who was never refused.
    """
    amount_micro = settings.SIGN_UP_CREDITS * ledger.MICRO
    with transaction.atomic():
        row = SignUpGrant.objects.select_for_update().get(person_key=person_key)
        if row.status == SignUpGrantStatus.GRANTED or amount_micro == 0:
            return False
        _grant(row, row.organisation_id, amount_micro)
        return True


def expiry_of_grants(now: datetime) -> datetime | None:
    """When credits that are granted now are gone: after settings.GRANTED_CREDITS_LAST_DAYS, None for never."""
    last_days: int = settings.GRANTED_CREDITS_LAST_DAYS
    return now + timedelta(days=last_days) if last_days else None


def _lock_person(person_key: str, organisation_id: UUID) -> SignUpGrant:
    SignUpGrant.objects.get_or_create(person_key=person_key, defaults={"organisation_id": organisation_id})
    return SignUpGrant.objects.select_for_update().get(person_key=person_key)


def _take_from_today(amount_micro: int) -> bool:
    """Count the amount against today's ceiling, or return False and leave the count alone."""
    today = timezone.localdate()
    SignUpDay.objects.get_or_create(day=today)
    # One conditional UPDATE: it locks the day's row until the commit, and the count it tests is never stale.
    ceiling_micro = min(settings.SIGN_UP_CREDITS_A_DAY * ledger.MICRO, ledger.MAX_TOTAL_MICRO)
    within = SignUpDay.objects.filter(day=today, granted_micro__lte=ceiling_micro - amount_micro)
    return within.update(granted_micro=F("granted_micro") + amount_micro) == 1


def _grant(row: SignUpGrant, organisation_id: UUID, amount_micro: int) -> None:
    now = timezone.now()
    ledger.grant(
        organisation_id,
        amount_micro,
        key=f"sign_up:{row.person_key}",
        description=DESCRIPTION,
        expires_at=expiry_of_grants(now),
    )
    row.organisation_id = organisation_id
    row.status = SignUpGrantStatus.GRANTED
    row.amount_micro = amount_micro
    row.granted_at = now
    row.save()
