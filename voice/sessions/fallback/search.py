"""One search for a model: dialled one after the other, and who is slow not waited for alone, until one answers."""

import asyncio
import time

import structlog

from voice.metering.errors import OutOfCredit
from voice.models import RungKind
from voice.sessions.call import Call
from voice.sessions.fallback.candidates import RefuseUnpayable, payable_after
from voice.sessions.fallback.doubts import DOUBTS
from voice.sessions.fallback.failures import TRY_AGAIN
from voice.sessions.fallback.race import Dial, Race
from voice.sessions.fallback.reports import SLOW, Reports
from voice.sessions.fallback.rungs import Rungs
from voice.sessions.fallback.share import Share
from voice.upstream.base import Upstream
from voice.upstream.errors import UpstreamError

log = structlog.get_logger(__name__)

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


class Search:
    """For one call, whose share, rungs and reports it uses. `began_at` is on the monotonic clock.

    Both ways to search return the call as the model found holds it, and the connection to that. They raise `error`, the
    last one, when nothing is left to be tried, and OutOfCredit when there is something left and it cannot be paid.
    """

    def __init__(
        self, call: Call, refuse_unpayable: RefuseUnpayable, *, share: Share, rungs: Rungs, reports: Reports
    ) -> None:
        self._call, self._refuse_unpayable = call, refuse_unpayable
        self._share, self._rungs, self._reports = share, rungs, reports
        self.began_at, self._chose_s = time.monotonic(), 0.0
        self.error = UpstreamError(SLOW, retryable=True)
        self._unpaid: OutOfCredit | None = None
        self._dial_s, self._is_start, self._was_live = DIAL_S, False, False

    async def begin(self) -> tuple[Call, Upstream]:
        """Find what holds a call that begins: its own model, or one below it."""
        self._is_start, self._dial_s = True, START_DIAL_S
        async with Race() as race:
            self._dial(race, self._call, within_s=START_DIAL_S, tries=2)
            return await self._first_of(race, await race.finished(_head_start_s(self._call, _FIRST_HEAD_START_S)))

    async def go_on(self, error: UpstreamError, *, was_live: bool) -> tuple[Call, Upstream]:
        """Find what holds a call whose model has failed; `was_live`: it held the call until then."""
        self.error, self._was_live = error, was_live
        async with Race() as race:
            return await self._first_of(race, None)

    async def _first_of(self, race: Race, done: Dial | None) -> tuple[Call, Upstream]:
        """Return the first model that answers; `done` is one of the race that has finished already."""
        while True:
            if done is None:
                done = await self._dial_another(race)
            elif (failed := done.task.exception()) is None:
                return self._take(done, race)
            elif isinstance(failed, UpstreamError):
                self._note_failed(done, failed)
                done = None
            else:
                raise failed

    async def _dial_another(self, race: Race) -> Dial | None:
        """Dial the next model, if there is one, beside those that are slow; return one that has finished, if one has.

        Raises why there is none when all have failed.
        """
        began_at = time.monotonic()
        found = await self._next(is_alone=not race.running)
        self._chose_s += time.monotonic() - began_at
        if found is None:
            if race.running:
                return await race.finished(None)
            raise self._unpaid or self.error
        # One of those before it may have finished while it was looked for.
        if done := await race.finished(self._patience_s(found)):
            return done
        self._dial(race, found, within_s=min(self._dial_s, self._share.left_s(self.began_at)), tries=1)
        return await race.finished(_head_start_s(found, _HEAD_START_S))

    def _patience_s(self, found: Call) -> float:
        """Return how long those that are being dialled are waited for before the one that was found is dialled."""
        if found.rung_kind != RungKind.TEXT:
            return 0.0
        return max(0.0, self.began_at + _VOICES_START_S - time.monotonic())

    def _dial(self, race: Race, call: Call, *, within_s: float, tries: int) -> None:
        self._share.dialled(call.model_served)
        race.start(call, within_s=within_s, tries=tries)

    # What became of those that were dialled.

    def _take(self, done: Dial, race: Race) -> tuple[Call, Upstream]:
        for other in race.running:
            self._leave_behind(other, done)
        self._reports.reached(done.call)
        self._enter(done)
        now = time.monotonic()
        log.info(
            "a model is reached",
            model=done.call.model_served,
            tries=self._share.tries,
            chose_ms=round(self._chose_s * 1000),
            dialled_ms=round((now - done.began_at) * 1000),
            searched_ms=round((now - self.began_at) * 1000),
        )
        return done.call, done.task.result()

    def _leave_behind(self, other: Dial, winner: Dial) -> None:
        """Say of one that was dialled beside the winner what it is known for."""
        failed = other.task.exception() if other.task.done() else None
        if isinstance(failed, UpstreamError):
            self._note_failed(other, failed)
            return
        if other.began_at < winner.began_at:
            self._reports.slow(other.call)
        # It may well answer the next time.
        self._share.left.discard(other.call.model_served)

    def _note_failed(self, dial: Dial, failed: UpstreamError) -> None:
        self._enter(dial)
        self._share.failed(dial.call.model_served, failed.code)
        self._reports.failed(dial.call, failed, is_dial=True)
        self.error = failed

    def _enter(self, dial: Dial) -> None:
        # The first rung of a call that begins is there already.
        if not (self._is_start and dial.call is self._call):
            self._rungs.enter(dial.call, self.error.code, at=dial.began_at)

    # Which one is next.

    async def _next(self, *, is_alone: bool) -> Call | None:
        """Return the call as the next model would hold it; None when there is none, or the share is used up."""
        share, was_live, self._was_live = self._share, self._was_live, False
        if share.is_used_up(self.began_at):
            return None
        share.is_second_try = was_live and self._may_be_tried_again()
        if share.is_second_try:
            return self._call
        if was_live:
            share.left.add(self._call.model_served)
        if found := await self._payable():
            return found
        if not is_alone or not share.begin_second_round():
            return None
        await asyncio.sleep(_ALL_AGAIN_AFTER_S)
        return await self._payable()

    def _may_be_tried_again(self) -> bool:
        is_doubted = DOUBTS.are_had(self._call.house, self._call.organisation_id)
        return self.error.code in TRY_AGAIN and not self._share.is_second_try and not is_doubted

    async def _payable(self) -> Call | None:
        """Return the next model that can be paid; the end of the share is for one that is written to."""
        for is_written_to in [True, False] if self._share.is_kept_for_text(self.began_at) else [False]:
            try:
                found = await payable_after(
                    self._call, self._share.left, self._refuse_unpayable, is_written_to=is_written_to
                )
            except OutOfCredit as refused:
                self._unpaid = refused
            else:
                if found:
                    return found
        return None


def _head_start_s(call: Call, undoubted_s: float) -> float:
    """Return how long a model that is dialled is waited for before the next one is dialled, too."""
    return _DOUBTED_HEAD_START_S if DOUBTS.are_had(call.house, call.organisation_id) else undoubted_s
