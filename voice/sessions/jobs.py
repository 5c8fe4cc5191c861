"""What waits for the one task that does it: a queue with a tenth of the memory of asyncio's, for every call has one."""

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class TooManyJobs(Exception):
    """More wait than ever should."""


class Jobs(Generic[T]):
    """For one event loop and one taker, who takes all there are at once."""

    __slots__ = ("_is_there", "_most", "_waiting")

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: list[T] = []
        self._is_there: asyncio.Future[None] | None = None

    def put(self, job: T) -> None:
        """Add a job; raise TooManyJobs where there are `most` already."""
        if len(self._waiting) >= self._most:
            raise TooManyJobs
        self._waiting.append(job)
        if self._is_there is not None and not self._is_there.done():
            self._is_there.set_result(None)

    async def take(self) -> list[T]:
        """Return all that wait, in their order, as soon as there is one."""
        while not self._waiting:
            self._is_there = asyncio.get_running_loop().create_future()
            await self._is_there
        return self.take_now()

    def take_now(self) -> list[T]:
        """Return all that wait now, in their order."""
        jobs, self._waiting = self._waiting, []
        return jobs
