"""Put usage on the books: the usage row and the capture of its cost, in one transaction and only once."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F

from billing import ledger
from billing.exceptions import HoldClosed
from voice.metering.rating import Rating
from voice.models import Session, UsageRecord

# UsageRecord.upstream_id's length, and the ledger wants one printable line.
_LONGEST_ID = 120


@dataclass(frozen=True, slots=True)
class Charge:
    """What one usage took of the hold, what the hold did not cover, and whether it had been recorded before."""

    captured_micro: int
    uncollected_micro: int
    repeated: bool


@dataclass(frozen=True, slots=True)
class Used:
    """One usage as the upstream told it, or as we estimate it."""

    source: str
    upstream_id: str
    model_slug: str
    reported: Mapping[str, Any]
    is_estimated: bool = False


@transaction.atomic
def record_usage(session_id: UUID, used: Used, rating: Rating) -> Charge:
    """Charge a usage to the session's hold. A repeat, by source and upstream id, returns what the first did."""
    session = Session.objects.select_for_update(no_key=True).get(id=session_id)
    upstream_id = _storable(used.upstream_id)
    made = UsageRecord.objects.filter(session=session, source=used.source, upstream_id=upstream_id).first()
    if made:
        return Charge(made.captured_micro, made.uncollected_micro, repeated=True)
    captured_micro = _capture(session, rating.total_micro, key=f"{used.source}:{upstream_id}")
    uncollected_micro = rating.total_micro - captured_micro
    UsageRecord.objects.create(
        session=session,
        source=used.source,
        upstream_id=upstream_id,
        model_slug=used.model_slug,
        usage=dict(used.reported),
        lines=[
            {
                "kind": line.kind.value,
                "quantity": line.quantity,
                "micro_per_million": line.micro_per_million,
                "amount_micro": line.amount_micro,
            }
            for line in rating.lines
        ],
        amount_micro=rating.total_micro,
        captured_micro=captured_micro,
        uncollected_micro=uncollected_micro,
        is_estimated=used.is_estimated,
    )
    Session.objects.filter(id=session_id).update(
        captured_micro=F("captured_micro") + captured_micro,
        uncollected_micro=F("uncollected_micro") + uncollected_micro,
    )
    return Charge(captured_micro, uncollected_micro, repeated=False)


def _capture(session: Session, amount_micro: int, *, key: str) -> int:
    if session.hold_id is None:
        return 0
    try:
        return ledger.capture(session.hold_id, amount_micro, key=key).captured_micro
    except HoldClosed:
        # The sweep settled a call that was not dead after all. Its receipt stands; the usage is kept as uncollected.
        return 0


def _storable(upstream_id: str) -> str:
    if upstream_id.strip() and upstream_id.isprintable() and len(upstream_id) <= _LONGEST_ID:
        return upstream_id
    return "sha256:" + hashlib.sha256(upstream_id.encode(errors="replace")).hexdigest()
