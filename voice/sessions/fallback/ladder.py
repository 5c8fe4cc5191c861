"""The ladder of models a call climbs down, at its start and while it goes on, and up again where its caller types.

A connection that broke is tried once more with the same model where that may help; then what stands in for the model is
tried in the catalogue's order, those of providers that have just turned calls away last, without those that the credits
do not reach for; and in the end a text model, with which the caller types. How far that goes is bounded (share.py), and
how it is done, models side by side, is search.py's.
"""

import time
from dataclasses import replace

from voice.metering.errors import OutOfCredit
from voice.sessions.call import Call
from voice.sessions.connect import connect
from voice.sessions.fallback.candidates import RefuseUnpayable, voice_after
from voice.sessions.fallback.reports import Reports
from voice.sessions.fallback.rungs import Rungs
from voice.sessions.fallback.search import DIAL_S, START_DIAL_S, Search
from voice.sessions.fallback.share import TRIES_MAX, Breaks, Share
from voice.sessions.takeover.memory import Before
from voice.upstream.base import Upstream
from voice.upstream.errors import UpstreamError

# What a customer's own program may bring about by what it asks for: that says nothing of the model.
_OF_THE_PROGRAM = {"upstream_refused"}


class Ladder:
    """One a call. `rungs` is what is kept of it.

    `is_climbed`: another model may hold the call; else it ends with the one it begins with.
    """

    def __init__(self, call: Call, *, is_climbed: bool, before: Before | None = None) -> None:
        self.rungs = Rungs(call, before)
        self._is_climbed = is_climbed
        self._share, self._breaks, self._reports = Share(), Breaks(), Reports()

    async def start(self, call: Call, refuse_unpayable: RefuseUnpayable) -> tuple[Call, Upstream]:
        """Reach the call's model, or the first one below it that answers. Raises UpstreamError when none does."""
        try:
            return await self._start(call, refuse_unpayable)
        except UpstreamError:
            # The call ends with it: nobody comes later to see that this was told.
            await self.report()
            raise
        finally:
            self.report_soon()

    async def _start(self, call: Call, refuse_unpayable: RefuseUnpayable) -> tuple[Call, Upstream]:
        if not self._is_climbed:
            return call, await self._connect(call, within_s=START_DIAL_S)
        search = self._search(call, refuse_unpayable)
        try:
            return await search.begin()
        except OutOfCredit:
            # The wallet was looked at when the call was admitted: it is the model that has failed.
            raise search.error from None

    async def climb_down(
        self, call: Call, error: UpstreamError, refuse_unpayable: RefuseUnpayable, *, was_live: bool = True
    ) -> tuple[Call, Upstream]:
        """Return what holds the call after its model failed, and the connection to it.

        Raises the last UpstreamError when nothing is left, or the call has had its share of models and waiting;
        OutOfCredit when there are models left and none of them can be paid.
        """
        search = self._search(call, refuse_unpayable)
        self.note_failure(call, error, is_dial=not was_live)
        if not self._is_climbed or (was_live and self._breaks.are_too_many(error.code, search.began_at)):
            raise error
        try:
            return await search.go_on(error, was_live=was_live)
        finally:
            self._share.waited_s += time.monotonic() - search.began_at

    async def replace(
        self, call: Call, refuse_unpayable: RefuseUnpayable, *, with_another: bool
    ) -> tuple[Call, Upstream] | None:
        """Return another connection for a call whose model still holds it: to the same model, or `with_another`.

        None when there is none to be had; the call is then better off where it is.
        """
        found = await voice_after(call, {call.model_served}, refuse_unpayable) if with_another else call
        return await self._reach(found) if found else None

    async def climb_up(self, call: Call, refuse_unpayable: RefuseUnpayable) -> tuple[Call, Upstream] | None:
        """Return the best model that can be talked to now, for a call that is typed; None when there is none."""
        left: set[str] = set()
        while len(left) < TRIES_MAX:
            found = await voice_after(replace(call, is_voice=True), left, refuse_unpayable)
            if found is None:
                return None
            if reached := await self._reach(found):
                return reached
            left.add(found.model_served)
        return None

    def answered(self, call: Call) -> None:
        """The model that holds the call has given an answer: the call has all of its share again."""
        self._share = Share()
        self._reports.answered(call)

    async def lost(self, call: Call, code: str) -> None:
        """The call has ended with its upstream. Where another model was looked for, that was noted at once."""
        if not self._is_climbed and code not in _OF_THE_PROGRAM:
            self.note_failure(call, UpstreamError(code, retryable=False))
            await self.report()

    def note_failure(self, call: Call, error: UpstreamError, *, is_dial: bool = False) -> None:
        """Have the model's breaker told with the next report; `is_dial`: its provider has turned the call away."""
        self._share.failed(call.model_served, error.code)
        self._reports.failed(call, error, is_dial=is_dial)

    def report_soon(self) -> None:
        """Have the models' breakers told what became of them, and wait for nothing."""
        self._reports.send()

    async def report(self) -> None:
        """Return when the models' breakers were told what became of them."""
        await self._reports.deliver()

    def _search(self, call: Call, refuse_unpayable: RefuseUnpayable) -> Search:
        return Search(call, refuse_unpayable, share=self._share, rungs=self.rungs, reports=self._reports)

    async def _reach(self, call: Call) -> tuple[Call, Upstream] | None:
        try:
            return call, await self._connect(call, within_s=DIAL_S)
        except UpstreamError:
            return None

    async def _connect(self, call: Call, *, within_s: float) -> Upstream:
        try:
            return await connect(call.endpoint, within_s=within_s)
        except UpstreamError as error:
            self.note_failure(call, error, is_dial=True)
            raise
