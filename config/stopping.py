"""Whether this web process is being stopped, and how long its calls have: its server says so, its doors and calls look.

SIGTERM drains: nothing begins here any more, calls that can go on elsewhere leave at once, and the others have DRAIN_S.
SIGINT is somebody at the keyboard who wants it to be over: no call is waited for.
"""

import asyncio
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from django.conf import settings

_LOOK_EVERY_S = 0.1

# On the monotonic clock; None while nobody has asked this process to stop.
_deadline: float | None = None
_waiting: set[asyncio.Future[None]] = set()


def is_stopping() -> bool:
    return _deadline is not None


def left_s() -> float:
    """Return how long calls that cannot go on elsewhere still have."""
    return 0.0 if _deadline is None else max(0.0, _deadline - time.monotonic())


def begin(*, within_s: float | None = None) -> None:
    """Stop, within so many seconds (DRAIN_S if not said). The shortest of several counts. Safe in a signal handler."""
    global _deadline
    deadline = time.monotonic() + (settings.DRAIN_S if within_s is None else within_s)
    _deadline = deadline if _deadline is None else min(_deadline, deadline)
    for told in list(_waiting):
        told.get_loop().call_soon_threadsafe(_tell, told)


async def begun() -> None:
    """Return once this process is being stopped."""
    if is_stopping():
        return
    told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    _waiting.add(told)
    try:
        await told
    finally:
        _waiting.discard(told)


async def out_of_time() -> None:
    """Return once this process is being stopped and calls have had their time."""
    await begun()
    while left := left_s():
        # In pieces: a second signal may shorten it.
        await asyncio.sleep(min(left, _LOOK_EVERY_S))


def heed_signals() -> None:
    """Hear of SIGTERM and SIGINT before the server does, which has set its own handlers by now."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number, within_s in ((signal.SIGTERM, None), (signal.SIGINT, 0.0)):
        before = signal.getsignal(number)
        if callable(before):
            signal.signal(number, _heeding(before, within_s))


def _heeding(before: Callable[[int, FrameType | None], Any], within_s: float | None) -> Callable[..., None]:
    def handler(number: int, frame: FrameType | None) -> None:
        begin(within_s=within_s)
        before(number, frame)

    return handler


def _tell(told: "asyncio.Future[None]") -> None:
    if not told.done():
        told.set_result(None)
