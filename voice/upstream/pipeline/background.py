"""Work that goes on beside the events of one session, and ends with it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from voice.upstream.errors import UpstreamError

T = TypeVar("T")


class Background:
    """Starts tasks and keeps hold of them; calls `on_mistake` when one ends in anything but an UpstreamError."""

    def __init__(self, on_mistake: Callable[[], None]) -> None:
        self._on_mistake = on_mistake
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)
        return task

    async def stop(self, within_s: float) -> None:
        """Cancel everything and wait for it to end, but not longer than within_s."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=within_s)

    def _on_done(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, UpstreamError):
            self._on_mistake()
            raise error  # To the event loop's handler, which logs it.
