"""What a process that carries live audio asks of Python and of the C library beside it."""

import contextlib
import ctypes
import gc
import sys
from typing import Any

from asgiref.sync import SyncToAsync
from django.core.signals import request_finished
from django.db import connections
from django.urls import get_resolver

from config import large_pages
from config.scheduling import come_first

# The longest that a ledger thread may keep Python to itself while a frame waits. At Python's own 5 ms, two such threads
# that take turns make a frame late enough to be heard.
_SWITCH_INTERVAL_S = 0.0005
# A look through all live calls holds all of them up, so it is rare (the last figure). One at what is new takes a tenth
# of a millisecond: often enough that what calls leave behind as they begin stays within a few hundred kilobytes.
_GARBAGE_THRESHOLDS = (2_000, 10, 250)
_M_ARENA_MAX = -8  # glibc's malloc.h


def prepare() -> None:
    """Call once, when the application is loaded and before it serves anybody."""
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    come_first()
    # Django would load every view when the first request comes.
    _ = get_resolver().reverse_dict
    # What is loaded now stays. Looking through all of it for garbage again and again would hold up every call for tens
    # of milliseconds each time.
    gc.set_threshold(*_GARBAGE_THRESHOLDS)
    gc.collect()
    gc.freeze()
    large_pages.collapse()
    _use_one_arena()
    request_finished.connect(close_connections_of_request)


def close_connections_of_request(**_: Any) -> None:
    """Close what a request's own thread has opened, when it was answered there.

    Under ASGI every request has a thread of its own, and no later one could use what it leaves: megabytes a connection
    of SQLite's, which only the garbage collector would find, and hold up every call to let go.
    """
    if SyncToAsync.thread_sensitive_context.get(None) is not None:
        connections.close_all()


def _use_one_arena() -> None:
    # glibc gives every thread a heap of its own, which keeps what that thread ever needed at once: a third of a call's
    # memory. Python lets one thread run at a time anyway. Elsewhere (musl, macOS) there is no such setting.
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
