"""Put usage on the books: the usage row and the capture of its cost, in one transaction and only once."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F

from billing import ledger
from billing.exceptions import HoldClosed
from config import fixed_sql
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


class _NotAsKnown(Exception):
    """The hold is not as the meter knew it."""


def record_at_once(
    session_id: UUID, known: ledger.HoldState, usages: Sequence[tuple[Used, Rating]]
) -> ledger.HoldState | None:
    """Charge usages, all new, to a hold that is as `known` and covers them; return the hold as it then is.

    Four statements, whatever their number: what a turn of a live call costs. None, with nothing changed, when one of
    them was recorded before or the hold is not as known or too small: `record_usage` then does it with care.
    """
    rows = [_row(session_id, used, rating, rating.total_micro) for used, rating in usages]
    charges = {_capture_key(row.source, row.upstream_id): row.amount_micro for row in rows}
    if len(charges) < len(rows):
        return None
    try:
        with transaction.atomic():
            # Locked in this order everywhere: session, hold.
            total_micro = sum(charges.values())
            fixed_sql.update(Session, {"id": session_id}, add={"captured_micro": total_micro})
            hold = ledger.capture_as_known(known, charges)
            if hold is None:
                raise _NotAsKnown
            fixed_sql.insert(rows)
            return hold
    except (_NotAsKnown, IntegrityError):
        return None


@transaction.atomic
def record_usage(session_id: UUID, used: Used, rating: Rating) -> Charge:
    """Charge a usage to the session's hold. A repeat, by source and upstream id, returns what the first did."""
    session = Session.objects.select_for_update(no_key=True).get(id=session_id)
    upstream_id = _storable(used.upstream_id)
    made = UsageRecord.objects.filter(session=session, source=used.source, upstream_id=upstream_id).first()
    if made:
        return Charge(made.captured_micro, made.uncollected_micro, repeated=True)
    captured_micro = _capture(session, rating.total_micro, key=_capture_key(used.source, upstream_id))
    uncollected_micro = rating.total_micro - captured_micro
    _row(session_id, used, rating, captured_micro).save(force_insert=True)
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


def _row(session_id: UUID, used: Used, rating: Rating, captured_micro: int) -> UsageRecord:
    return UsageRecord(
        session_id=session_id,
        source=used.source,
        upstream_id=_storable(used.upstream_id),
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
        uncollected_micro=rating.total_micro - captured_micro,
        is_estimated=used.is_estimated,
    )


def _capture_key(source: str, upstream_id: str) -> str:
    return f"{source}:{upstream_id}"


def _storable(upstream_id: str) -> str:
    if upstream_id.strip() and upstream_id.isprintable() and len(upstream_id) <= _LONGEST_ID:
        return upstream_id
    return "sha256:" + hashlib.sha256(upstream_id.encode(errors="replace")).hexdigest()
