"""Settle one metered HTTP request: what it used is captured of its hold, the rest is free again, exactly once."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.utils import timezone

from billing import ledger
from billing.exceptions import HoldClosed
from voice.catalogue.rate_card import RateCard
from voice.metering.rating import RateMissing, Rating, rate
from voice.metering.usage import Quantities, storable_usage
from voice.models import ApiRequest

log = structlog.get_logger(__name__)

_USED = "usage"
# As the hold of a request lasts; its process is dead by then.
_ABANDONED_AFTER = timedelta(seconds=900)
_MOST_A_SWEEP = 500


@transaction.atomic
def settle_request(
    request_id: UUID,
    quantities: Quantities,
    card: RateCard,
    *,
    reported: Mapping[str, Any] | None = None,
    is_estimated: bool = False,
) -> ApiRequest:
    """Charge what a request used and close its hold. A repeat changes nothing; usage without a rate is kept, free."""
    request = ApiRequest.objects.select_for_update(no_key=True, of=("self",)).get(id=request_id)
    if request.settled_at is not None:
        return request
    rating = _rated(request, quantities, card)
    request.captured_micro = _capture(request, rating.total_micro)
    request.uncollected_micro = rating.total_micro - request.captured_micro
    request.usage = storable_usage(reported) if reported else {str(kind): n for kind, n in quantities.items()}
    request.lines = [
        {
            "kind": line.kind.value,
            "quantity": line.quantity,
            "micro_per_million": line.micro_per_million,
            "amount_micro": line.amount_micro,
        }
        for line in rating.lines
    ]
    request.is_estimated = is_estimated
    _close(request)
    return request


def settle_abandoned(now: datetime) -> int:
    """Close the requests whose process died, at what was captured (nothing); return how many."""
    due = ApiRequest.objects.filter(settled_at=None, created_at__lte=now - _ABANDONED_AFTER).order_by("created_at")
    return sum(_settle_one(request_id) for request_id in list(due.values_list("id", flat=True)[:_MOST_A_SWEEP]))


@transaction.atomic
def _settle_one(request_id: UUID) -> bool:
    request = ApiRequest.objects.select_for_update(no_key=True, of=("self",)).get(id=request_id)
    if request.settled_at is not None:
        return False
    _close(request)
    return True


def _rated(request: ApiRequest, quantities: Quantities, card: RateCard) -> Rating:
    try:
        return rate(quantities, card)
    except RateMissing as missing:
        log.error("usage without a rate", request_id=str(request.id), model=missing.model_slug, kind=missing.kind)
        return Rating((), 0)


def _capture(request: ApiRequest, amount_micro: int) -> int:
    if request.hold_id is None:
        return 0
    try:
        return ledger.capture(request.hold_id, amount_micro, key=_USED).captured_micro
    except HoldClosed:
        # It took longer than its hold: kept as uncollected.
        return 0


def _close(request: ApiRequest) -> None:
    if request.hold_id is not None:
        ledger.settle_hold(request.hold_id, description=f"{request.get_kind_display()} by {request.model_served}")
    request.settled_at = timezone.now()
    request.save()
