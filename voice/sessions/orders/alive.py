"""Say every few seconds that this process's live calls live, all in one look at the database, and learn which must end.

One look for all of them: fifty calls that each asked on their own would cost the process more than their audio does.
"""

import asyncio
import contextlib
import contextvars
from collections.abc import Iterable, Iterator
from uuid import UUID
from weakref import WeakKeyDictionary

import structlog
from django.db import OperationalError

from voice.metering.executor import in_ledger_thread
from voice.models import EndReason
from voice.sessions import records
from voice.sessions.call import Call
from voice.sessions.takeover.memory import HandedOver

log = structlog.get_logger(__name__)

_LOOK_EVERY_S = 5.0


@contextlib.contextmanager
def watched(call: Call, ended: "asyncio.Future[EndReason]") -> Iterator[None]:
    """Keep a call marked as live while the block runs; `ended` is why it must end once the operator has decided so.

    It is HandedOver once another process has taken the call over.
    """
    watch = _watches.setdefault(asyncio.get_running_loop(), _Watch())
    watch.add(call, ended)
    try:
        yield
    finally:
        watch.remove(call)


class _Watch:
    """The live calls of one event loop. Its task runs while there are any."""

    def __init__(self) -> None:
        self._addresses: dict[UUID, str] = {}
        self._generations: dict[UUID, int] = {}
        self._endings: dict[UUID, asyncio.Future[EndReason]] = {}
        self._task: asyncio.Task[None] | None = None

    def add(self, call: Call, ended: asyncio.Future[EndReason]) -> None:
        self._let_go([call.session_id])
        self._addresses[call.session_id], self._endings[call.session_id] = call.client_ip, ended
        self._generations[call.session_id] = call.generation
        if self._task is None:
            # In no call's context: what it logs is about all of them.
            self._task = asyncio.create_task(self._look_again_and_again(), context=contextvars.Context())

    def remove(self, call: Call) -> None:
        if self._generations.get(call.session_id) != call.generation:
            return  # this process has taken the call over from itself
        for of_session in (self._addresses, self._generations, self._endings):
            of_session.pop(call.session_id, None)
        if not self._endings and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _look_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            try:
                self._let_go(await in_ledger_thread(records.taken_over, dict(self._generations)))
                self._tell(await in_ledger_thread(records.still_live, dict(self._addresses)))
            except OperationalError:
                # It may be back in a moment; if it is not, no response can be recorded or held, and that ends the call.
                log.warning("database out of reach")
            except Exception as error:
                # A look that fails in a new way fails every call that waits for it, as it would have failed its own.
                self._fail(error)

    def _let_go(self, session_ids: Iterable[UUID]) -> None:
        for session_id in session_ids:
            ending = self._endings.get(session_id)
            if ending and not ending.done():
                ending.set_exception(HandedOver(is_taken=True))

    def _tell(self, reasons: dict[UUID, EndReason]) -> None:
        for session_id, reason in reasons.items():
            ending = self._endings.get(session_id)
            if ending and not ending.done():
                ending.set_result(reason)

    def _fail(self, error: Exception) -> None:
        for ending in self._endings.values():
            if not ending.done():
                ending.set_exception(error)


# A process has one loop and so one watch; tests have a loop each.
_watches: WeakKeyDictionary[asyncio.AbstractEventLoop, _Watch] = WeakKeyDictionary()
