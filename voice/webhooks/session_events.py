"""What endpoints are told of a call: that it began, and how it ended. Facts of the call, no word that was said."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from voice.models import EndReason, EventType, Session
from voice.webhooks.events import emit

# A fault, ours or the model's, ended the call.
_FAULTS = {EndReason.UPSTREAM_FAILED, EndReason.INTERNAL_ERROR, EndReason.PROCESS_DIED}


def emit_started(session: Session) -> None:
    """In the transaction that marks the call live."""
    _emit(EventType.SESSION_STARTED, session, _facts(session))


def emit_ended(session: Session) -> None:
    """In the transaction that ends the call. A ticket that was never used was no call, and is not told of."""
    if session.started_at is None:
        return
    type = EventType.SESSION_FAILED if session.end_reason in _FAULTS else EventType.SESSION_ENDED
    _emit(type, session, {**_facts(session), **_ending(session)})


def _emit(type: EventType, session: Session, data: Mapping[str, Any]) -> None:
    # Of one call one of ended and failed is told, whichever process comes first.
    moment = "started" if type == EventType.SESSION_STARTED else "over"
    emit(session.organisation_id, type, data, key=f"session:{session.pk}:{moment}", extra_url=session.webhook_url)


def _facts(session: Session) -> dict[str, Any]:
    return {
        "session_id": str(session.pk),
        "agent_id": str(session.agent_id) if session.agent_id else None,
        "source": session.source,
        "model": session.model_served,
        "is_voice": session.is_voice,
        "language": session.language,
        "started_at": _text(session.started_at),
        "metadata": session.metadata,
    }


def _ending(session: Session) -> dict[str, Any]:
    return {
        "ended_at": _text(session.ended_at),
        "duration_ms": session.duration_ms,
        "end_reason": session.end_reason,
        "outcome": session.outcome,
        "task_completed": session.task_completed or None,
        "cost_micro": session.captured_micro,
    }


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
