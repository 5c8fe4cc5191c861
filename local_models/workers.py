"""A few threads, each with a model of its own, and a short queue in front of them."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Generic, TypeVar

from local_models.errors import ApiError

Model = TypeVar("Model")
Result = TypeVar("Result")


class WorkerPool(Generic[Model]):
    """Runs blocking work on models that must not be shared between threads.

    A request is admitted for as long as it lasts, so a long stream of speech is counted once; the work it asks for is
    then run piece by piece, which lets several requests take turns.
    """

    def __init__(self, load: Callable[[], Model], workers: int, waiting_max: int) -> None:
        self._load = load
        self._workers = workers
        self._admitted_max = workers + waiting_max
        self._admitted = 0
        self._models: SimpleQueue[Model] = SimpleQueue()
        self._threads = ThreadPoolExecutor(max_workers=workers)

    def load(self) -> None:
        """Load one model a worker. Blocks."""
        for _ in range(self._workers):
            self._models.put(self._load())

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Take a place for one request. Raises ApiError 429 when the queue is full."""
        if self._admitted >= self._admitted_max:
            raise ApiError(
                429, "Every worker is busy. Try again shortly.", code="rate_limit_exceeded", retry_after_seconds=1
            )
        self._admitted += 1
        try:
            yield
        finally:
            self._admitted -= 1

    async def run(self, work: Callable[[Model], Result]) -> Result:
        """Run the work on a worker's own model. When the caller is cancelled, work not yet begun never starts."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._with_model, work)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _with_model(self, work: Callable[[Model], Result]) -> Result:
        model = self._models.get()
        try:
            return work(model)
        finally:
            self._models.put(model)
