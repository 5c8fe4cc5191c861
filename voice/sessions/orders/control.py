"""How a live call is told from outside to end (hung up, paused, suspended, key revoked, network blocked) or to move.

Orders travel as small channel-layer messages and reach a call at once (listening.py); records.still_live finds the
lasting ones again every few seconds, in case a message was lost or came from a process without the same layer.
"""

from typing import Any
from uuid import UUID

import structlog
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

from voice.models import EndReason, Session, SessionState
from voice.sessions.orders.listening import GROUP

log = structlog.get_logger(__name__)


def end_call(session_id: UUID, reason: EndReason = EndReason.OPERATOR_ENDED) -> None:
    Session.objects.filter(pk=session_id).update(hang_up_wanted=True, hang_up_reason=reason)
    _order(reason, session=session_id.hex)


def end_waiting_call(session_id: UUID) -> None:
    """End a call whose caller is not expected back; should the order be lost, it ends by itself soon enough."""
    _order(EndReason.CALLER_DISCONNECTED, session=session_id.hex)


def end_calls_of_key(api_key_id: UUID) -> None:
    for session_id in Session.objects.filter(api_key=api_key_id, state=SessionState.LIVE).values_list("pk", flat=True):
        _order(EndReason.API_KEY_REVOKED, session=session_id.hex)


def end_calls_of(organisation_id: UUID) -> None:
    _order(EndReason.ORGANISATION_SUSPENDED, organisation=organisation_id.hex)


def end_every_call() -> None:
    _order(EndReason.PAUSED)


def end_calls_from(network: str) -> None:
    _order(EndReason.NETWORK_BLOCKED, network=network)


async def let_go_of(session_id: UUID, generation: int) -> None:
    """Tell the process that held a call that this one has it now, as its `generation`."""
    layer: Any = get_channel_layer()
    try:
        order = {"type": "call.let_go", "session": session_id.hex, "generation": generation}
        await layer.group_send(GROUP, order)
    except Exception as error:
        # The boundary to whichever layer it is. It finds out by itself within seconds, and charges nothing twice.
        log.warning("order not sent", reason="taken over", error=type(error).__name__)


def move_calls_of(model_slug: str, organisation_id: UUID | None = None) -> bool:
    """Have the live calls that this model serves, of everybody or of one organisation, go on with another.

    Return False when they could not be told: nothing else tells them. A call that is over by then ignores it.
    """
    whose = {"organisation": organisation_id.hex} if organisation_id else {}
    return _send({"type": "call.move", "model": model_slug, "reason": "maintenance", **whose})


def _order(reason: EndReason, **whose: str) -> None:
    # What was decided is written, and found by each call within seconds: an operator who pauses everything while Redis
    # is away must not be told that it failed.
    _send({"type": "call.end", "reason": str(reason.value), **whose})


def _send(order: dict[str, str]) -> bool:
    layer: Any = get_channel_layer()
    try:
        async_to_sync(layer.group_send)(GROUP, order)
    except Exception as error:  # the boundary to whichever layer it is
        log.warning("order not sent", reason=order["reason"], error=type(error).__name__)
        return False
    return True
