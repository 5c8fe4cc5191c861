"""Which model may hold a call next: one that stands in for the model asked for, and that the credits reach for."""

from collections.abc import Awaitable, Callable
from functools import partial

import structlog
from django.db import DatabaseError

from voice.metering.errors import OutOfCredit
from voice.metering.executor import in_ledger_thread
from voice.models import RungKind
from voice.sessions import records
from voice.sessions.call import Call
from voice.sessions.fallback.doubts import DOUBTS

log = structlog.get_logger(__name__)

# Raises OutOfCredit when a model, as it would hold the call, could not be paid its first answer.
RefuseUnpayable = Callable[[Call], Awaitable[None]]


async def payable_after(
    call: Call, left: set[str], refuse_unpayable: RefuseUnpayable, *, is_written_to: bool = False
) -> Call | None:
    """Return the call as the next model would hold it that was not `left` and can be paid; None when there is none.

    Those that cannot be paid are left, too. Raises OutOfCredit when there is nothing but such.
    """
    unpaid: OutOfCredit | None = None
    is_doubted = partial(DOUBTS.are_had, organisation_id=call.organisation_id)
    look = partial(records.call_after, call, left, is_doubted, is_written_to=is_written_to)
    try:
        while found := await in_ledger_thread(look):
            try:
                await refuse_unpayable(found)
            except OutOfCredit as refused:
                log.info("a model is passed over: it cannot be paid", model=found.model_served, reason=refused.reason)
                unpaid = refused
                left.add(found.model_served)
            else:
                return found
    except DatabaseError:
        log.warning("no other model can be looked for: the database is out of reach")
        return None
    if unpaid:
        raise unpaid
    return None


async def voice_after(call: Call, left: set[str], refuse_unpayable: RefuseUnpayable) -> Call | None:
    """As payable_after, for a call that is better off where it is than unpaid, or with a model that is written to."""
    try:
        found = await payable_after(call, left, refuse_unpayable)
    except OutOfCredit:
        return None
    return found if found and found.rung_kind != RungKind.TEXT else None
