"""Calls: ask for one and get a ticket, rate it, list and read them, end one."""

from datetime import timedelta
from typing import Annotated, Any, Literal, cast
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from ninja import Path, Query, Router

from accounts.client_ip import client_ip_of
from voice.admission import captcha_memory, tickets, visitors
from voice.admission.admit import CallRequest, admit
from voice.admission.admit_client import Asked, admit_client
from voice.admission.captcha_memory import PersonCheck
from voice.admission.key_holders import Holder
from voice.admission.rating_token import RATING_OPEN_S, is_rating_token
from voice.api.amounts import plain_credits
from voice.api.answers import IDEMPOTENT, OPTIONAL_KEY, WITH_BODY, answers
from voice.api.callers import ApiKey, holder_of, optional_holder_of
from voice.api.cursors import after, cursor_after
from voice.api.errors import InvalidRequest, answer_for
from voice.api.schemas import (
    CostLine,
    CostOut,
    Rating,
    RatingKept,
    SessionOut,
    SessionPage,
    SessionStart,
    SessionStarted,
    TranscriptOut,
    TranscriptTurn,
)
from voice.catalogue.on_offer import models_now
from voice.metering.receipt import receipt_of
from voice.metering.settlement import settle_session
from voice.models import EndReason, Session, SessionState, Source
from voice.models.catalogue import ModelKind
from voice.sessions import records
from voice.sessions.orders import control
from voice.transcripts.reading import transcript_of

router = Router(tags=["Calls"])
api_key = ApiKey()

_WIDGET_PATH = "/v1/voice/widget"
_API_PATH = "/v1/voice/sessions"
_STATUS: dict[str, Literal["created", "live", "ended"]] = {"admitted": "created", "live": "live", "ended": "ended"}
_STATES = {status: state for state, status in _STATUS.items()}
# What a visitor may set; everything else is the agent's owner's to choose.
_VISITORS_FIELDS = {"agent", "captcha", "voice", "language", "consent", "consent_version"}

SessionId = Path[UUID]


@router.post(
    "v1/voice/sessions",
    url_name="sessions",
    operation_id="start_session",
    summary="Start a call",
    auth=None,
    response=answers({201: SessionStarted}, 402, 403, 404, *WITH_BODY),
    openapi_extra={**IDEMPOTENT, **OPTIONAL_KEY},
)
def start(request: HttpRequest, wanted: SessionStart) -> HttpResponse:
    """Hold credits for a call and answer with a ticket to its websocket.

    A visitor's browser names an agent and solves a CAPTCHA; code with an API key may set everything, and need not name
    an agent at all.
    """
    holder = optional_holder_of(request)
    if holder is not None:
        return _start_for_key(request, holder, wanted)
    return _start_for_visitor(request, wanted)


@router.post(
    "v1/voice/sessions/{uuid:session_id}/rating",
    url_name="rating",
    operation_id="rate_session",
    summary="Rate a call",
    auth=None,
    response=answers({200: RatingKept}, 403, *WITH_BODY),
    openapi_extra=IDEMPOTENT,
)
def rate(request: HttpRequest, session_id: SessionId, rating: Rating) -> HttpResponse:
    """Keep a caller's stars and comment; repeatable for an hour after the call, with the token its end brought."""
    comment = rating.comment.strip()
    if not is_rating_token(rating.token, session_id):
        raise InvalidRequest("This call cannot be rated, or not any more.", code="invalid_token", status=403)
    since = timezone.now() - timedelta(seconds=RATING_OPEN_S)
    ended = Session.objects.filter(id=session_id, state=SessionState.ENDED, ended_at__gte=since)
    if not ended.update(stars=rating.stars, comment=comment):
        raise InvalidRequest("This call cannot be rated, or not any more.", code="not_rateable", status=409)
    return JsonResponse({"stars": rating.stars, "comment": comment})


@router.get(
    "v1/voice/sessions",
    url_name="sessions",
    operation_id="list_sessions",
    summary="List calls",
    auth=api_key,
    response=answers({200: SessionPage}, 403),
)
def list_sessions(
    request: HttpRequest,
    status: Annotated[Literal["created", "live", "ended"] | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str, Query(max_length=200)] = "",
) -> SessionPage:
    """The organisation's calls, newest first. `next_cursor` is where the next page begins."""
    holder = _reader(request)
    rows = Session.objects.filter(after(cursor), organisation=holder.organisation_id).order_by("-created_at", "-id")
    if status is not None:
        rows = rows.filter(state=_STATES[status])
    page = list(rows.select_related("agent")[: limit + 1])
    shown = page[:limit]
    has_more = len(page) > limit
    next_cursor = cursor_after(shown[-1].created_at, shown[-1].id) if has_more else None
    return SessionPage(data=[_out(row) for row in shown], has_more=has_more, next_cursor=next_cursor)


@router.get(
    "v1/voice/sessions/{uuid:session_id}",
    url_name="session",
    operation_id="get_session",
    summary="Read a call",
    auth=api_key,
    response=answers({200: SessionOut}, 403, 404),
)
def get_session(request: HttpRequest, session_id: SessionId) -> SessionOut:
    return _out(_find(_reader(request), session_id))


@router.get(
    "v1/voice/sessions/{uuid:session_id}/transcript",
    url_name="session_transcript",
    operation_id="get_transcript",
    summary="Read what was said",
    auth=api_key,
    response=answers({200: TranscriptOut}, 403, 404),
)
def get_transcript(request: HttpRequest, session_id: SessionId) -> TranscriptOut:
    """The words of a call whose caller agreed to their being kept; 404 `transcript_not_kept` for any other."""
    session = _find(_reader(request), session_id)
    view = transcript_of(session.id)
    if view is None:
        raise InvalidRequest("No words of this call are kept.", code="transcript_not_kept", status=404)
    turns = [
        TranscriptTurn(
            index=turn.index,
            speaker="agent" if turn.speaker == "agent" else "caller",
            text=turn.text,
            started_ms=turn.started_ms,
            ended_ms=turn.ended_ms,
            latency_ms=turn.latency_ms,
            interrupted=turn.interrupted,
        )
        for turn in view.turns
    ]
    return TranscriptOut(session_id=session.id, is_redacted=view.is_redacted, turns=turns)


@router.get(
    "v1/voice/sessions/{uuid:session_id}/cost",
    url_name="session_cost",
    operation_id="get_cost",
    summary="Read what a call cost",
    auth=api_key,
    response=answers({200: CostOut}, 403, 404),
)
def get_cost(request: HttpRequest, session_id: SessionId) -> CostOut:
    """Item by item; while the call is live, up to now."""
    session = _find(_reader(request), session_id)
    receipt = receipt_of(session)
    return CostOut(
        session_id=session.id,
        is_final=session.state == SessionState.ENDED,
        lines=[
            CostLine(label=line.label, quantity=line.quantity, unit=line.unit, amount_micro=line.amount_micro)
            for line in receipt.lines
        ],
        total_micro=receipt.total_micro,
        uncollected_micro=receipt.uncollected_micro,
        total_credits=plain_credits(receipt.total_micro),
    )


@router.delete(
    "v1/voice/sessions/{uuid:session_id}",
    url_name="session",
    operation_id="end_session",
    summary="End a call",
    auth=api_key,
    response=answers({204: None}, 403, 404, 409),
    openapi_extra=IDEMPOTENT,
)
def end_session(request: HttpRequest, session_id: SessionId) -> HttpResponse:
    """End a live call, or free a ticket that was not used. One that has ended stays as it is."""
    holder = holder_of(request)
    holder.require("realtime")
    session = _find(holder, session_id)
    if session.state == SessionState.LIVE or not _free(session.id):
        control.end_call(session.id, EndReason.API_ENDED)
    return HttpResponse(status=204)


def _start_for_key(request: HttpRequest, holder: Holder, wanted: SessionStart) -> HttpResponse:
    _check_model(wanted.llm_model)
    asked = Asked(
        agent=wanted.agent or "",
        consent=wanted.consent,
        consent_version=wanted.consent_version,
        language=wanted.language,
        system_prompt=wanted.system_prompt.strip(),
        voice=wanted.voice if isinstance(wanted.voice, str) else "",
        turn_detection=wanted.turn_detection or "",
        max_duration_s=wanted.max_duration_seconds,
        webhook_url=wanted.webhook_url or "",
        metadata=wanted.metadata,
    )
    # Whose address counts is the browser's that will take the ticket, which is not known yet.
    session = admit_client(
        holder,
        model=wanted.llm_model,
        is_voice=wanted.voice is not False,
        client_ip=client_ip_of(request),
        source=Source.API,
        asked=asked,
    )
    body = _started(request, session, tickets.issue(session.id), _API_PATH)
    return JsonResponse({**body, "session": _out(session).model_dump(mode="json")}, status=201)


def _start_for_visitor(request: HttpRequest, wanted: SessionStart) -> HttpResponse:
    _refuse_what_needs_a_key(wanted)
    client_ip = client_ip_of(request)
    visitor = visitors.cookie_value(request.COOKIES.get(visitors.COOKIE, ""))
    person = PersonCheck(
        payload=wanted.captcha, cookie=request.COOKIES.get(captcha_memory.COOKIE, ""), client_ip=client_ip
    )
    call = CallRequest(
        agent_key=wanted.agent or "",
        user=request.user,
        client_ip=client_ip,
        origin=request.headers.get("Origin", ""),
        scheme=request.scheme or "http",
        host=request.get_host(),
        person=person,
        visitor_id=visitors.visitor_id(visitor, timezone.localdate()),
        is_voice=wanted.voice is not False,
        language=wanted.language,
        consent=wanted.consent,
        consent_version=wanted.consent_version,
    )
    answer: HttpResponse
    try:
        admission = admit(call)
        answer = JsonResponse(_started(request, admission.session, admission.ticket, _WIDGET_PATH), status=201)
    except Exception as error:  # answered here, not at the edge, because the cookies below go with refusals too
        answer = answer_for(error)
    _set_cookie(answer, visitors.COOKIE, visitor, visitors.COOKIE_AGE_S)
    if person.newly_solved:
        # Also when something later refused the call: the solution is used up, and nobody should solve another for that.
        remembered = captcha_memory.remember(client_ip)
        _set_cookie(answer, captcha_memory.COOKIE, remembered, settings.CAPTCHA_REMEMBERED_S)
    return answer


def _refuse_what_needs_a_key(wanted: SessionStart) -> None:
    if not wanted.agent:
        raise InvalidRequest("agent: Field required (or an API key).", param="agent")
    if isinstance(wanted.voice, str):
        raise InvalidRequest("voice: without an API key only true or false.", param="voice")
    for field in sorted(wanted.model_fields_set - _VISITORS_FIELDS):
        raise InvalidRequest(f"{field}: needs an API key.", param=field)


def _check_model(slug: str) -> None:
    slugs = [model.slug for model in models_now().values() if model.kind == ModelKind.REALTIME]
    if slug and slug not in slugs:
        allowed = ", ".join(slugs)
        raise InvalidRequest(f"llm_model: choose one of: {allowed}.", param="llm_model")


def _started(request: HttpRequest, session: Session, ticket: str, path: str) -> dict[str, Any]:
    scheme = "wss" if request.is_secure() else "ws"
    return {
        "id": str(session.id),
        "ticket": ticket,
        "websocket_url": f"{scheme}://{request.get_host()}{path}",
        "model_asked": session.model_asked,
        "model_served": session.model_served,
        "model_reason": session.model_reason,
        "is_voice": session.is_voice,
        "expires_at": session.ticket_expires_at.isoformat(),
    }


def _reader(request: HttpRequest) -> Holder:
    holder = holder_of(request)
    holder.require("sessions:read")
    return holder


def _find(holder: Holder, session_id: UUID) -> Session:
    rows = Session.objects.select_related("agent").filter(organisation=holder.organisation_id, id=session_id)
    session = rows.first()
    if session is None:
        raise InvalidRequest("There is no such call.", code="session_not_found", status=404)
    return session


@transaction.atomic
def _free(session_id: UUID) -> bool:
    """Close a session nobody has begun; return False when somebody has meanwhile."""
    session = Session.objects.select_for_update(no_key=True, of=("self",)).get(id=session_id)
    if session.state == SessionState.LIVE:
        return False
    settle_session(session_id)
    records.end(session_id, EndReason.TICKET_UNUSED)
    return True


def _out(session: Session) -> SessionOut:
    agent = session.agent
    return SessionOut(
        id=session.id,
        status=_STATUS[session.state],
        source=cast(Any, session.source),
        agent=session.agent_id,
        llm_model=session.model_asked,
        model_served=session.model_served,
        model_reason=session.model_reason,
        voice=session.voice or (agent.voice if agent else ""),
        language=session.language,
        turn_detection=session.turn_detection or "server_vad",
        max_duration_seconds=session.max_duration_s or (agent.max_duration_s if agent else None),
        webhook_url=session.webhook_url or None,
        metadata=session.metadata,
        created_at=session.created_at,
        started_at=session.started_at,
        ended_at=session.ended_at,
        duration_ms=session.duration_ms,
        end_reason=session.end_reason or None,
        outcome=session.outcome or None,
        captured_micro=session.captured_micro,
    )


def _set_cookie(answer: HttpResponse, name: str, value: str, max_age_s: int) -> None:
    answer.set_cookie(name, value, max_age=max_age_s, httponly=True, samesite="Lax", secure=settings.HTTPS)
