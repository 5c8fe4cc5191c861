"""What live calls hear: one channel for all those of an event loop, and what each of them makes of an order.

One for all: a channel of its own, with its queue, its reader and its three groups, would be a part of every call's
memory, and three trips to Redis before it begins. Orders are rare, and every process can tell which are for it.
"""

import asyncio
import contextlib
import contextvars
from collections.abc import AsyncIterator, Mapping
from ipaddress import ip_address, ip_network
from typing import Any, Protocol, runtime_checkable
from weakref import WeakKeyDictionary

import structlog
from channels.layers import get_channel_layer

from voice.models import EndReason
from voice.sessions.call import Call
from voice.sessions.takeover.memory import HandedOver

log = structlog.get_logger(__name__)

# The group of the channel layer that every process with live calls is in.
GROUP = "orders"
# A layer that takes longer than this to be spoken to is away; then it is tried again after so long.
_LAYER_WITHIN_S, _LISTEN_AGAIN_S = 2.0, 2.0
# A layer forgets after a day who is in a group, and a process may have live calls for longer without a break.
_JOIN_AGAIN_S = 3600.0


@runtime_checkable
class Movable(Protocol):
    """A conversation that can go on with another model."""

    async def move(self, code: str) -> None:
        """Go on with another model; `code` is a stable word that says why."""
        ...


@contextlib.asynccontextmanager
async def orders_for(call: Call) -> AsyncIterator["Orders"]:
    """Listen for orders to this call while the block runs, which begins at once."""
    loop = asyncio.get_running_loop()
    ear = _ears.setdefault(loop, _Ear())
    orders = Orders(call, ear, loop.create_future())
    ear.listen_for(orders)
    try:
        yield orders
    finally:
        if not orders.ended.cancel() and not orders.ended.cancelled():
            # What came too late for anybody to look at is no fault to be logged.
            orders.ended.exception()
        await ear.forget(orders)


class Orders:
    """What one call is ordered to do.

    `ended` will be the reason of the first order to end it, or HandedOver when another process has taken it over.
    Orders to move are handed to its `conversation`, once there is one: one that cannot (a customer's own program chose
    its model itself) stays where it is.
    """

    __slots__ = ("_call", "_ear", "conversation", "ended")

    def __init__(self, call: Call, ear: "_Ear", ended: "asyncio.Future[EndReason]") -> None:
        self._call, self._ear, self.ended = call, ear, ended
        self.conversation: object = None

    async def are_heard(self) -> None:
        """Return once all orders that are given reach the call, or the layer turns out to be away.

        That keeps no call from going on: its orders are heard once the layer is back.
        """
        await self._ear.has_tried.wait()

    @property
    def are_to_end(self) -> bool:
        """Whether the call has been ordered to end, which is another thing than being taken over."""
        return self.ended.done() and not self.ended.cancelled() and self.ended.exception() is None

    async def hear(self, order: Mapping[str, Any]) -> None:
        if not self._is_meant(order) or self.ended.done():
            return
        match order["type"]:
            case "call.move":
                if isinstance(self.conversation, Movable) and self._model_served() == order["model"]:
                    await self.conversation.move(order["reason"])
            case "call.let_go":
                if order["generation"] > self._call.generation:
                    self.ended.set_exception(HandedOver(is_taken=True))
            case "call.end":
                self.ended.set_result(EndReason(order["reason"]))

    def _is_meant(self, order: Mapping[str, Any]) -> bool:
        call, network = self._call, order.get("network")
        if order.get("session") not in (None, call.session_id.hex):
            return False
        if order.get("organisation") not in (None, call.organisation_id.hex):
            return False
        return network is None or _is_in(call.client_ip, network)

    def _model_served(self) -> str:
        # One that has moved before says where to.
        return str(getattr(self.conversation, "model_served", self._call.model_served))


class _Ear:
    """Listens for all live calls of one event loop, while there are any."""

    def __init__(self) -> None:
        self._calls: set[Orders] = set()
        self._task: asyncio.Task[None] | None = None
        self.has_tried = asyncio.Event()

    def listen_for(self, call: Orders) -> None:
        """Have a call hear its orders: after `has_tried`, or where the layer is away once that is back."""
        self._calls.add(call)
        if self._task is None:
            # In no call's context: what it logs is about all of them.
            listening = self._listen_again_and_again(self.has_tried)
            self._task = asyncio.create_task(listening, context=contextvars.Context())

    async def forget(self, call: Orders) -> None:
        self._calls.discard(call)
        if self._task is None or self._calls:
            return
        task, self._task, self.has_tried = self._task, None, asyncio.Event()
        task.cancel()
        await asyncio.wait([task])

    async def _listen_again_and_again(self, has_tried: asyncio.Event) -> None:
        while True:
            try:
                await self._listen(has_tried)
            except Exception as error:
                # The boundary to whichever layer it is. Until it is back, what was decided is found in the database.
                log.warning("orders are not heard", error=type(error).__name__)
            finally:
                has_tried.set()
            await asyncio.sleep(_LISTEN_AGAIN_S)

    async def _listen(self, has_tried: asyncio.Event) -> None:
        layer: Any = get_channel_layer()
        channel, staying = "", None
        try:
            async with asyncio.timeout(_LAYER_WITHIN_S):
                channel = await layer.new_channel("calls")
                await layer.group_add(GROUP, channel)
            staying = asyncio.create_task(_stay(layer, channel))
            has_tried.set()
            while True:
                order = await layer.receive(channel)
                for call in list(self._calls):
                    await call.hear(order)
        finally:
            if staying is not None:
                staying.cancel()
            # A layer that went away must not keep a call from being settled.
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_LAYER_WITHIN_S):
                    if channel:
                        await layer.group_discard(GROUP, channel)


async def _stay(layer: Any, channel: str) -> None:
    while True:
        await asyncio.sleep(_JOIN_AGAIN_S)
        # The boundary to whichever layer it is: whoever listens notices that it is away.
        with contextlib.suppress(Exception):
            await layer.group_add(GROUP, channel)


def _is_in(address: str, network: str) -> bool:
    try:
        return bool(address) and ip_address(address) in ip_network(network, strict=False)
    except ValueError:
        # A row that nobody can read (admission says so in the log) must not end everybody's calls.
        return False


# A process has one loop and so one ear; tests have a loop each.
_ears: WeakKeyDictionary[asyncio.AbstractEventLoop, _Ear] = WeakKeyDictionary()
