"""The ladder of models a call climbs down, at its start and while it goes on: which is next, and reaching it in time.

A connection that broke is tried once more with the same model where that may help; then what stands in for the model is
tried in the catalogue's order, those of providers that have just turned calls away last, without those that the credits
do not reach for; and in the end a text model, with which the caller types. Whoever is slow to answer is not waited for
alone (race.py). All of it is bounded, until a model has answered: then the call has its share again.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial

import structlog
from django.db import DatabaseError

from voice.catalogue import breaker
from voice.metering.errors import OutOfCredit
from voice.metering.executor import in_ledger_thread, in_report_thread
from voice.models import RungKind
from voice.sessions import records
from voice.sessions.call import Call
from voice.sessions.connect import connect
from voice.sessions.fallback.doubts import DOUBTS
from voice.sessions.fallback.race import Dial, Race
from voice.sessions.fallback.rungs import Rungs
from voice.sessions.takeover.memory import Before
from voice.upstream.base import Upstream
from voice.upstream.errors import UpstreamError

log = structlog.get_logger(__name__)

# From one answer to the next so many models are dialled at most, the last of them one that is written to; and so many
# seconds may a caller wait, of which the last are kept for that one.
TRIES_MAX = 5
WAIT_S_MAX = 30.0
_KEPT_FOR_TEXT_S = 5.0
# A call whose models answer, but break again and again, is not worth going on with: each reads all of it anew.
BREAKS_MAX, BREAKS_WITHIN_S = 60, 600.0
# Callers wait: before the call they see "Connecting", in the middle of it they hear nothing.
START_DIAL_S = 5.0
DIAL_S = 3.0
# A healthy handshake takes a few tenths of a second, and a whole one from the other side of the world. After this the
# next one is dialled beside the one that is slow; sooner where its provider has just turned somebody away, and later
# where the call only begins: who asked for a model is to get it. Being written to is worse, so voices get longer.
_HEAD_START_S, _DOUBTED_HEAD_START_S, _FIRST_HEAD_START_S = 1.5, 0.3, 3.0
_VOICES_START_S = 2.0
# When all have failed, those that may be well again are tried once more, after this.
_ALL_AGAIN_AFTER_S = 0.5

# What a fresh connection to the same model may mend. A stall and a used-up quota it would not, or not in time.
_TRY_AGAIN = {
    "upstream_closed",
    "upstream_dropped",
    "upstream_failed",
    "upstream_gone",
    "upstream_unavailable",
    "upstream_unreachable",
    "session_expired",
}
# Asking again within seconds changes nothing.
_HOPELESS = {"upstream_unauthorized", "upstream_model_not_found", "upstream_quota", "upstream_refused"}
# What ends a connection though nothing is wrong with the model.
PLANNED = {"session_expired", "session_expiring", "maintenance", "voice_wanted", "upstream_flooded"}
# What a customer's own program may bring about by what it asks for: that says nothing of the model.
_OF_THE_PROGRAM = {"upstream_refused"}
# Why a model holds a call that begins, where the one asked for has not failed.
_SLOW = "upstream_slow"

# Raises OutOfCredit when a model, as it would hold the call, could not be paid its first answer.
RefuseUnpayable = Callable[[Call], Awaitable[None]]


@dataclass(slots=True)
class _Share:
    """What a call may still try and wait, from one answer to the next. `left` are models that are not tried again."""

    tries: int = 0
    waited_s: float = 0.0
    left: set[str] = field(default_factory=set)
    hopeless: set[str] = field(default_factory=set)
    is_second_try: bool = False
    is_second_round: bool = False


@dataclass(slots=True)
class _Search:
    """One search for a model: whose call, why it looks for one, and since when (monotonic clock).

    `was_live`: the call was held by its model until now. `is_start`: it begins, so its first rung is there already.
    """

    call: Call
    error: UpstreamError
    refuse_unpayable: RefuseUnpayable
    dial_s: float
    was_live: bool = False
    is_start: bool = False
    began_at: float = field(default_factory=time.monotonic)
    chose_s: float = 0.0
    unpaid: OutOfCredit | None = None


class Ladder:
    """One a call. `rungs` is what is kept of it.

    `is_climbed`: another model may hold the call; else it ends with the one it begins with.
    """

    def __init__(self, call: Call, *, is_climbed: bool, before: Before | None = None) -> None:
        self.rungs = Rungs(call, before)
        self._is_climbed = is_climbed
        self._share = _Share()
        self._broke_at: deque[float] = deque(maxlen=BREAKS_MAX)
        self._due: list[Callable[[], None]] = []

    async def start(self, call: Call, refuse_unpayable: RefuseUnpayable) -> tuple[Call, Upstream]:
        """Reach the call's model, or the first one below it that answers. Raises UpstreamError when none does."""
        if not self._is_climbed:
            return await self._reach_alone(call)
        slow = UpstreamError(_SLOW, retryable=True)
        search = _Search(call, slow, refuse_unpayable, START_DIAL_S, is_start=True)
        try:
            async with Race() as race:
                self._dial(race, call, within_s=START_DIAL_S, tries=2)
                return await self._first_of(race, search, await race.finished(_head_start_s(call, _FIRST_HEAD_START_S)))
        except OutOfCredit:
            # The wallet was looked at when the call was admitted: it is the model that has failed.
            raise search.error from None
        finally:
            await self.report()

    async def climb_down(
        self, call: Call, error: UpstreamError, refuse_unpayable: RefuseUnpayable, *, was_live: bool = True
    ) -> tuple[Call, Upstream]:
        """Return what holds the call after its model failed, and the connection to it.

        Raises the last UpstreamError when nothing is left, or the call has had its share of models and waiting;
        OutOfCredit when there are models left and none of them can be paid.
        """
        search = _Search(call, error, refuse_unpayable, DIAL_S, was_live)
        self.note_failure(call, error, is_dial=not was_live)
        if was_live and self._breaks_too_often(search):
            raise error
        try:
            async with Race() as race:
                return await self._first_of(race, search, None)
        finally:
            self._share.waited_s += time.monotonic() - search.began_at

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
        while len(left) < TRIES_MAX:
            found = await self._voice_after(replace(call, is_voice=True), left, refuse_unpayable)
            if found is None:
                return None
            if reached := await self._reach(found):
                return reached
            left.add(found.model_served)
        return None

    def answered(self, call: Call) -> None:
        """The model that holds the call has given an answer: the call has all of its share again."""
        self._share = _Share()
        self._due.append(partial(breaker.answered, call.model_served))

    async def report(self) -> None:
        """Tell the models' breakers what became of them. That it cannot be told is no reason to end a call."""
        due, self._due = self._due, []
        if due:
            await in_report_thread(_do_all, due)

    async def lost(self, call: Call, code: str) -> None:
        """The call has ended with its upstream. Where another model was looked for, that was noted at once."""
        if not self._is_climbed and code not in _OF_THE_PROGRAM:
            self.note_failure(call, UpstreamError(code, retryable=False))
            await self.report()

    def note_failure(self, call: Call, error: UpstreamError, *, is_dial: bool = False) -> None:
        """Have the model's breaker told at the next `report`; `is_dial`: its provider has turned the call away."""
        log.warning("a model does not hold the call", model=call.model_served, code=error.code)
        if is_dial or error.code in _HOPELESS:
            DOUBTS.note(call.house, call.organisation_id, error.code)
        if error.code in _HOPELESS:
            self._share.hopeless.add(call.model_served)
        if error.code not in PLANNED:
            self._due.append(partial(breaker.failed, call.model_served, error.code, call.organisation_id))

    # One after the other, and side by side.

    async def _first_of(self, race: Race, search: _Search, done: Dial | None) -> tuple[Call, Upstream]:
        """Return the first model that answers; `done` is one of the race that has finished already."""
        while True:
            if done is None:
                done = await self._dial_another(race, search)
            if done is None:
                continue
            if (failed := done.task.exception()) is None:
                return self._take(done, race, search)
            if not isinstance(failed, UpstreamError):
                raise failed
            self._enter(done, search)
            self.note_failure(done.call, failed, is_dial=True)
            search.error, done = failed, None

    def _take(self, done: Dial, race: Race, search: _Search) -> tuple[Call, Upstream]:
        for slower in race.running:
            log.info("a model is slower than the next one", model=slower.call.model_served)
            DOUBTS.note(slower.call.house, slower.call.organisation_id, _SLOW)
            self._share.left.discard(slower.call.model_served)
        DOUBTS.forget(done.call.house, done.call.organisation_id)
        self._enter(done, search)
        now = time.monotonic()
        log.info(
            "a model is reached",
            model=done.call.model_served,
            tries=self._share.tries,
            chose_ms=round(search.chose_s * 1000),
            dialled_ms=round((now - done.began_at) * 1000),
            searched_ms=round((now - search.began_at) * 1000),
        )
        return done.call, done.task.result()

    def _enter(self, done: Dial, search: _Search) -> None:
        if not (search.is_start and done.call is search.call):
            self.rungs.enter(done.call, search.error.code, at=done.began_at)

    async def _dial_another(self, race: Race, search: _Search) -> Dial | None:
        """Dial the next model, if there is one, beside those that are slow; return one that has finished, if one has.

        Raises why there is none when all have failed.
        """
        began_at = time.monotonic()
        found = await self._next(search, is_alone=not race.running)
        search.chose_s += time.monotonic() - began_at
        if found is None:
            if race.running:
                return await race.finished(None)
            raise search.unpaid or search.error
        if found.rung_kind == RungKind.TEXT and race.running:
            left_s = search.began_at + _VOICES_START_S - time.monotonic()
            if done := await race.finished(max(0.0, left_s)):
                return done
        self._dial(race, found, within_s=min(search.dial_s, self._left_s(search)), tries=1)
        return await race.finished(_head_start_s(found, _HEAD_START_S))

    def _dial(self, race: Race, call: Call, *, within_s: float, tries: int) -> None:
        self._share.tries += 1
        self._share.left.add(call.model_served)
        race.start(call, within_s=within_s, tries=tries)

    async def _next(self, search: _Search, *, is_alone: bool) -> Call | None:
        """Return the call as the next model would hold it; None when there is none, or the share is used up."""
        share, call, was_live = self._share, search.call, search.was_live
        search.was_live = False
        if share.tries >= TRIES_MAX or self._left_s(search) <= 0 or not self._is_climbed:
            return None
        if was_live and self._may_be_tried_again(call, search.error):
            share.is_second_try = True
            return call
        share.is_second_try = False
        if was_live:
            share.left.add(call.model_served)
        if found := await self._payable(search):
            return found
        if not is_alone or share.is_second_round or not share.left - share.hopeless:
            return None
        share.is_second_round = True
        share.left &= share.hopeless
        await asyncio.sleep(_ALL_AGAIN_AFTER_S)
        return await self._payable(search)

    async def _payable(self, search: _Search) -> Call | None:
        """Return the next model that can be paid; the last try, and the last seconds, are of one that is written to."""
        is_last = self._share.tries == TRIES_MAX - 1 or self._left_s(search) < _KEPT_FOR_TEXT_S
        ways = [True, False] if is_last else [False]
        for is_written_to in ways:
            try:
                found = await _payable_after(
                    search.call, self._share.left, search.refuse_unpayable, is_written_to=is_written_to
                )
            except OutOfCredit as refused:
                search.unpaid = refused
            else:
                if found:
                    return found
        return None

    def _may_be_tried_again(self, call: Call, error: UpstreamError) -> bool:
        is_doubted = DOUBTS.are_had(call.house, call.organisation_id)
        return error.code in _TRY_AGAIN and not self._share.is_second_try and not is_doubted

    def _left_s(self, search: _Search) -> float:
        return WAIT_S_MAX - self._share.waited_s - (time.monotonic() - search.began_at)

    def _breaks_too_often(self, search: _Search) -> bool:
        if search.error.code in PLANNED:
            return False
        is_full = len(self._broke_at) == BREAKS_MAX
        too_often = is_full and search.began_at - self._broke_at[0] < BREAKS_WITHIN_S
        self._broke_at.append(search.began_at)
        return too_often

    # Alone.

    async def _reach_alone(self, call: Call) -> tuple[Call, Upstream]:
        try:
            return call, await connect(call.endpoint, within_s=START_DIAL_S)
        except UpstreamError as error:
            self.note_failure(call, error, is_dial=True)
            raise
        finally:
            await self.report()

    async def _reach(self, call: Call) -> tuple[Call, Upstream] | None:
        try:
            upstream = await connect(call.endpoint, within_s=DIAL_S)
        except UpstreamError as error:
            self.note_failure(call, error, is_dial=True)
            return None
        return call, upstream

    async def _voice_after(self, call: Call, left: set[str], refuse_unpayable: RefuseUnpayable) -> Call | None:
        """As _payable_after, for a call that is better off where it is than with a model that is only written to."""
        try:
            found = await _payable_after(call, left, refuse_unpayable)
        except OutOfCredit:
            return None
        return found if found and found.rung_kind != RungKind.TEXT else None


def _head_start_s(call: Call, undoubted_s: float) -> float:
    """Return how long a model that is dialled is waited for before the next one is dialled, too."""
    return _DOUBTED_HEAD_START_S if DOUBTS.are_had(call.house, call.organisation_id) else undoubted_s


async def _payable_after(
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


def _do_all(due: list[Callable[[], None]]) -> None:
    try:
        for do in due:
            do()
    except DatabaseError:
        log.warning("a model's breaker was not told")
