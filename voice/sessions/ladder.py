"""The ladder of models a call climbs down, at its start and while it goes on: which is next, and reaching it in time.

A connection that broke is tried once more with the same model where that may help; then what stands in for the model is
tried in the catalogue's order, without those that the credits do not reach for, and in the end a text model, with which
the caller types. All of it is bounded.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

import structlog
from django.db import DatabaseError

from voice.catalogue import breaker
from voice.metering.errors import OutOfCredit
from voice.metering.executor import in_ledger_thread, in_report_thread
from voice.sessions import records
from voice.sessions.call import Call
from voice.sessions.connect import connect
from voice.sessions.memory import Before
from voice.sessions.rungs import Rungs
from voice.upstream.base import Upstream
from voice.upstream.errors import UpstreamError

log = structlog.get_logger(__name__)

# Failures after which another rung is tried; with the first one, so many rungs and one a call at most.
FAILURES_MAX = 5
# Seconds, in all of a call, that a caller may spend waiting for the next model.
WAIT_S_MAX = 30.0
# Callers wait: before the call they see "Connecting", in the middle of it they hear nothing.
START_DIAL_S = 5.0
DIAL_S = 3.0

# What a fresh connection to the same model may mend. A stall and a used-up quota it would not, or not in time.
_TRY_AGAIN = {
    "upstream_closed",
    "upstream_dropped",
    "upstream_failed",
    "upstream_gone",
    "upstream_unavailable",
    "session_expired",
}
# What ends a connection though nothing is wrong with the model.
PLANNED = {"session_expired", "session_expiring", "maintenance", "voice_wanted", "upstream_flooded"}
# What a customer's own program may bring about by what it asks for: that says nothing of the model.
_OF_THE_PROGRAM = {"upstream_refused"}

# Raises OutOfCredit when a model, as it would hold the call, could not be paid its first answer.
RefuseUnpayable = Callable[[Call], Awaitable[None]]


class Ladder:
    """One a call. `rungs` is what is kept of it.

    `is_climbed`: another model may hold the call; else it ends with the one it begins with.
    """

    def __init__(self, call: Call, *, is_climbed: bool, before: Before | None = None) -> None:
        self.rungs = Rungs(call, before)
        self._is_climbed = is_climbed
        self._left: set[str] = set()
        self._failures = 0
        self._waited_s = 0.0
        self._is_second_try = False
        self._due: list[Callable[[], None]] = []

    async def start(self, call: Call, refuse_unpayable: RefuseUnpayable) -> tuple[Call, Upstream]:
        """Reach the call's model, or the first one below it that answers. Raises UpstreamError when none does."""
        try:
            return call, await connect(call.endpoint, within_s=START_DIAL_S)
        except UpstreamError as error:
            try:
                return await self.climb_down(call, error, refuse_unpayable, dial_s=START_DIAL_S, was_live=False)
            except OutOfCredit:
                # The wallet was looked at when the call was admitted: it is the model that has failed.
                raise error from None
        finally:
            await self.report()

    async def climb_down(
        self,
        call: Call,
        error: UpstreamError,
        refuse_unpayable: RefuseUnpayable,
        *,
        dial_s: float = DIAL_S,
        was_live: bool = True,
    ) -> tuple[Call, Upstream]:
        """Return what holds the call after its model failed, and the connection to it.

        Raises the last UpstreamError when nothing is left, or the call has had its share of rungs and waiting;
        OutOfCredit when there are models left and none of them can be paid.
        """
        began_at = time.monotonic()
        try:
            while True:
                self.note_failure(call, error)
                left_s = WAIT_S_MAX - self._waited_s - (time.monotonic() - began_at)
                found = None
                if self._failures <= FAILURES_MAX and left_s > 0:
                    found = await self._next(call, error, refuse_unpayable, was_live=was_live)
                if found is None:
                    raise error
                self.rungs.enter(found, error.code)
                try:
                    return found, await connect(found.endpoint, within_s=min(dial_s, left_s))
                except UpstreamError as unreached:
                    call, error, was_live = found, unreached, False
        finally:
            self._waited_s += time.monotonic() - began_at

    async def replace(
        self, call: Call, refuse_unpayable: RefuseUnpayable, *, with_another: bool
    ) -> tuple[Call, Upstream] | None:
        """Return another connection for a call whose model still holds it: to the same model, or `with_another`.

        None when there is none to be had; the call is then better off where it is.
        """
        found: Call | None = call
        if with_another:
            found = await self._voice_after(call, {call.model_served}, refuse_unpayable)
        return await self._reach(found) if found else None

    async def climb_up(self, call: Call, refuse_unpayable: RefuseUnpayable) -> tuple[Call, Upstream] | None:
        """Return the best model that can be talked to now, for a call that is typed; None when there is none."""
        left: set[str] = set()
        while len(left) < FAILURES_MAX:
            found = await self._voice_after(replace(call, is_voice=True), left, refuse_unpayable)
            if found is None:
                return None
            if reached := await self._reach(found):
                return reached
            left.add(found.model_served)
        return None

    def answered(self, call: Call) -> None:
        """The model that holds the call has given an answer: what failed before it may be tried again after it."""
        self._is_second_try = False
        self._left.clear()
        self._due.append(partial(breaker.answered, call.model_served))

    async def report(self) -> None:
        """Tell the models' breakers what became of them. That it cannot be told is no reason to end a call."""
        due, self._due = self._due, []
        if due:
            await in_report_thread(_do_all, due)

    async def _reach(self, call: Call) -> tuple[Call, Upstream] | None:
        try:
            upstream = await connect(call.endpoint, within_s=DIAL_S)
        except UpstreamError as error:
            self.note_failure(call, error, counts=False)
            return None
        return call, upstream

    async def _next(
        self, call: Call, error: UpstreamError, refuse_unpayable: RefuseUnpayable, *, was_live: bool
    ) -> Call | None:
        if not self._is_climbed:
            return None
        if was_live and error.code in _TRY_AGAIN and not self._is_second_try:
            self._is_second_try = True
            return call
        self._is_second_try = False
        self._left.add(call.model_served)
        return await _payable_after(call, self._left, refuse_unpayable)

    async def _voice_after(self, call: Call, left: set[str], refuse_unpayable: RefuseUnpayable) -> Call | None:
        """As _payable_after, for a call that is better off where it is than with a model that is only written to."""
        try:
            found = await _payable_after(call, left, refuse_unpayable)
        except OutOfCredit:
            return None
        return found if found and found.rung_kind != "text" else None

    async def lost(self, call: Call, code: str) -> None:
        """The call has ended with its upstream. Where another model was looked for, that was noted at once."""
        if not self._is_climbed and code not in _OF_THE_PROGRAM:
            self.note_failure(call, UpstreamError(code, retryable=False))
            await self.report()

    def note_failure(self, call: Call, error: UpstreamError, *, counts: bool = True) -> None:
        """Have the model's breaker told at the next `report`; `counts`: the call was held by it, or was to be."""
        log.warning("a model does not hold the call", model=call.model_served, code=error.code)
        if error.code not in PLANNED:
            self._failures += counts
            self._due.append(partial(breaker.failed, call.model_served, error.code, call.organisation_id))


async def _payable_after(call: Call, left: set[str], refuse_unpayable: RefuseUnpayable) -> Call | None:
    """Return the call as the next model would hold it that was not `left` and can be paid; None when there is none.

    Those that cannot be paid are left, too. Raises OutOfCredit when there is nothing but such.
    """
    unpaid: OutOfCredit | None = None
    try:
        while found := await in_ledger_thread(records.call_after, call, left):
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


def _do_all(due: list[Callable[[], None]]) -> None:
    try:
        for do in due:
            do()
    except DatabaseError:
        log.warning("a model's breaker was not told")
