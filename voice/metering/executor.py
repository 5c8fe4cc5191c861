"""Threads for ledger work, apart from the one thread that all of Channels' database access shares."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.db import close_old_connections

P = ParamSpec("P")
T = TypeVar("T")

# A ledger call takes milliseconds and a call makes one every few seconds: eight threads serve hundreds of calls, and
# hold at most eight database connections. SQLite writes one at a time, so more threads would only compete for Python.
_THREADS = 2 if "sqlite" in settings.DATABASES["default"]["ENGINE"] else 8

_executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="ledger")
# What nobody waits for. One thread: when a provider goes down all its calls tell so at once, of the same few rows.
_reports = ThreadPoolExecutor(1, thread_name_prefix="report")


async def in_ledger_thread(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `fn` with a database connection of its own thread, and return what it returns.

    Cancelling the caller does not stop `fn`: what it writes is written, or not at all.
    """
    return await _in_thread_of(_executor, partial(fn, *args, **kwargs))


async def in_report_thread(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """As in_ledger_thread, behind other reports and in the way of no ledger work."""
    return await _in_thread_of(_reports, partial(fn, *args, **kwargs))


async def _in_thread_of(executor: ThreadPoolExecutor, fn: Callable[[], T]) -> T:
    context = contextvars.copy_context()
    call = partial(context.run, _with_fresh_connection, fn)
    return await asyncio.get_running_loop().run_in_executor(executor, call)


def _with_fresh_connection(call: Callable[[], T]) -> T:
    # What a request's start and end do elsewhere: drop connections that are broken or past their age. Once is enough
    # here, since nothing else runs in these threads. Afterwards, so that none waits broken for the next call; one that
    # breaks while it waits is found out by the health check that a server's have before they are used again.
    try:
        return call()
    finally:
        close_old_connections()
