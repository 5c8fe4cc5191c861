"""How a live call is told from outside to end (hung up, paused, suspended, key revoked, network blocked) or to move.

Orders travel as small channel-layer messages and reach a call at once; records.still_live finds the lasting ones again
every few seconds, in case a message was lost or came from a process without the same layer.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from ipaddress import ip_address, ip_network
from typing import Any, Protocol, runtime_checkable
from uuid import UUID

import structlog
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

from voice.models import EndReason, Session, SessionState
from voice.sessions.call import Call
from voice.sessions.takeover.memory import HandedOver

log = structlog.get_logger(__name__)

_EVERY_CALL = "calls"
# A layer that takes longer than this to be spoken to is away; then it is tried again after so long.
_LAYER_WITHIN_S, _LISTEN_AGAIN_S = 2.0, 2.0


def end_call(session_id: UUID, reason: EndReason = EndReason.OPERATOR_ENDED) -> None:
    Session.objects.filter(pk=session_id).update(hang_up_wanted=True, hang_up_reason=reason)
    _order(_session_group(session_id), reason)


def end_waiting_call(session_id: UUID) -> None:
    """End a call whose caller is not expected back; should the order be lost, it ends by itself soon enough."""
    _order(_session_group(session_id), EndReason.CALLER_DISCONNECTED)


def end_calls_of_key(api_key_id: UUID) -> None:
    for session_id in Session.objects.filter(api_key=api_key_id, state=SessionState.LIVE).values_list("pk", flat=True):
        _order(_session_group(session_id), EndReason.API_KEY_REVOKED)


def end_calls_of(organisation_id: UUID) -> None:
    _order(_organisation_group(organisation_id), EndReason.ORGANISATION_SUSPENDED)


def end_every_call() -> None:
    _order(_EVERY_CALL, EndReason.PAUSED)


def end_calls_from(network: str) -> None:
    _order(_EVERY_CALL, EndReason.NETWORK_BLOCKED, network=network)


async def let_go_of(session_id: UUID, generation: int) -> None:
    """Tell the process that held a call that this one has it now, as its `generation`."""
    layer: Any = get_channel_layer()
    try:
        await layer.group_send(_session_group(session_id), {"type": "call.let_go", "generation": generation})
    except Exception as error:
        # The boundary to whichever layer it is. It finds out by itself within seconds, and charges nothing twice.
        log.warning("order not sent", reason="taken over", error=type(error).__name__)


def move_calls_of(model_slug: str, organisation_id: UUID | None = None) -> bool:
    """Have the live calls that this model serves, of everybody or of one organisation, go on with another.

    Return False when they could not be told: nothing else tells them. A call that is over by then ignores it.
    """
    group = _organisation_group(organisation_id) if organisation_id else _EVERY_CALL
    return _send(group, {"type": "call.move", "model": model_slug, "reason": "maintenance"})


@contextlib.asynccontextmanager
async def orders_for(call: Call) -> AsyncIterator["Orders"]:
    """Listen for orders to this call while the block runs. A layer that is away keeps no call from going on."""
    orders = Orders(call)
    await orders.listen()
    try:
        yield orders
    finally:
        await orders.stop_listening()


@runtime_checkable
class Movable(Protocol):
    """A conversation that can go on with another model."""

    async def move(self, code: str) -> None:
        """Go on with another model; `code` is a stable word that says why."""
        ...


class Orders:
    def __init__(self, call: Call) -> None:
        self._call, self._channel = call, ""
        self._layer: Any = get_channel_layer()
        self._groups = (_EVERY_CALL, _session_group(call.session_id), _organisation_group(call.organisation_id))

    async def listen(self) -> None:
        """Begin to listen; where the layer is away, `wait` tries again."""
        try:
            async with asyncio.timeout(_LAYER_WITHIN_S):
                self._channel = await self._layer.new_channel("call")
                for group in self._groups:
                    await self._layer.group_add(group, self._channel)
        except Exception as error:
            # The boundary to whichever layer it is. Until it is back, what was decided is found in the database.
            log.warning("orders are not heard", session_id=str(self._call.session_id), error=type(error).__name__)
            await self.stop_listening()

    async def stop_listening(self) -> None:
        channel, self._channel = self._channel, ""
        # A layer that went away must not keep the call from being settled.
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_LAYER_WITHIN_S):
                for group in self._groups if channel else ():
                    await self._layer.group_discard(group, channel)

    async def wait(self, conversation: object = None) -> EndReason:
        """Return the reason of the first order to end that means this call; hand orders to move to its conversation.

        Raises HandedOver when another process has taken the call over.
        A conversation that cannot move (a customer's own program chose its model itself) stays where it is.
        """
        while True:
            while not self._channel:
                await asyncio.sleep(_LISTEN_AGAIN_S)
                await self.listen()
            message = await self._layer.receive(self._channel)
            if message["type"] == "call.move":
                if isinstance(conversation, Movable) and self._model_of(conversation) == message["model"]:
                    await conversation.move(message["reason"])
                continue
            if message["type"] == "call.let_go":
                if message["generation"] > self._call.generation:
                    raise HandedOver(is_taken=True)
                continue
            network = message.get("network")
            if network is None or _is_in(self._call.client_ip, network):
                return EndReason(message["reason"])

    def _model_of(self, conversation: Movable) -> str:
        # One that has moved before says where to.
        return str(getattr(conversation, "model_served", self._call.model_served))


def _order(group: str, reason: EndReason, **extra: str) -> None:
    # What was decided is written, and found by each call within seconds: an operator who pauses everything while Redis
    # is away must not be told that it failed.
    _send(group, {"type": "call.end", "reason": str(reason.value), **extra})


def _send(group: str, message: dict[str, str]) -> bool:
    layer: Any = get_channel_layer()
    try:
        async_to_sync(layer.group_send)(group, message)
    except Exception as error:  # the boundary to whichever layer it is
        log.warning("order not sent", reason=message["reason"], error=type(error).__name__)
        return False
    return True


def _session_group(session_id: UUID) -> str:
    return f"session.{session_id.hex}"


def _organisation_group(organisation_id: UUID) -> str:
    return f"organisation.{organisation_id.hex}"


def _is_in(address: str, network: str) -> bool:
    try:
        return bool(address) and ip_address(address) in ip_network(network, strict=False)
    except ValueError:
        # A row that nobody can read (admission says so in the log) must not end everybody's calls.
        return False
