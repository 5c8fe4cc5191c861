"""What a call finds out of the models it meets: its process knows at once, and the breakers of all are told soon."""

import asyncio
from collections.abc import Callable
from functools import partial

import structlog
from django.db import DatabaseError

from voice.catalogue import breaker
from voice.metering.executor import in_report_thread
from voice.sessions.call import Call
from voice.sessions.fallback.doubts import DOUBTS
from voice.sessions.fallback.failures import HOPELESS, PLANNED
from voice.upstream.errors import UpstreamError

log = structlog.get_logger(__name__)

# Who was slow to be reached is doubted for it, which its breaker is not told.
SLOW = "upstream_slow"


class Reports:
    """One a call. What breakers are to be told waits for `send`."""

    def __init__(self) -> None:
        self._due: list[Callable[[], None]] = []
        self._sending: set[asyncio.Task[None]] = set()

    def failed(self, call: Call, error: UpstreamError, *, is_dial: bool) -> None:
        """The call's model does not hold it; `is_dial`: its provider has turned the call away."""
        log.warning("a model does not hold the call", model=call.model_served, code=error.code)
        if is_dial or error.code in HOPELESS:
            DOUBTS.note(call.house, call.organisation_id, error.code)
        if error.code not in PLANNED:
            self._due.append(partial(breaker.failed, call.model_served, error.code, call.organisation_id))

    def slow(self, call: Call) -> None:
        """Another model was reached sooner, though it was dialled later."""
        log.info("a model is slower than the next one", model=call.model_served)
        DOUBTS.note(call.house, call.organisation_id, SLOW)

    def reached(self, call: Call) -> None:
        """The call's model has been reached."""
        DOUBTS.forget(call.house, call.organisation_id)

    def answered(self, call: Call) -> None:
        """The call's model has given an answer."""
        self._due.append(partial(breaker.answered, call.model_served))

    def send(self) -> None:
        """Have the breakers told, and wait for nothing: other calls' reports come first."""
        due, self._due = self._due, []
        if due:
            task = asyncio.create_task(in_report_thread(_do_all, due))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def deliver(self) -> None:
        """Send what there is, and wait until the breakers were told."""
        self.send()
        if self._sending:
            await asyncio.wait(self._sending)


def _do_all(due: list[Callable[[], None]]) -> None:
    try:
        for do in due:
            do()
    except DatabaseError:
        # No reason to end a call.
        log.warning("a model's breaker was not told")
