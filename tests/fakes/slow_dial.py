"""Models that take their time to be reached: a dial is answered when a test says so, or given up before."""

import asyncio

from tests.flows.browser import PATIENCE_S
from voice.upstream.base import Endpoint, Upstream


class SlowDial:
    """Stands in for registry.dial. `dialled` are the models, `given_up` those whose dials were abandoned."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._may_answer = asyncio.Event()
        self.dialled: list[str] = []
        self.given_up: list[str] = []

    async def dial(self, endpoint: Endpoint, **_: object) -> Upstream:
        self.dialled.append(endpoint.model)
        try:
            await self._may_answer.wait()
        except asyncio.CancelledError:
            self.given_up.append(endpoint.model)
            raise
        return self._upstream

    def answers(self) -> None:
        self._may_answer.set()

    async def until_dialled(self, times: int = 1) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while len(self.dialled) < times:
                await asyncio.sleep(0.001)
