"""POST voice/sessions: ask for a call, get a ticket. POST voice/sessions/<id>/rating: say how it was."""

import re
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone

from accounts.client_ip import client_ip_of
from voice.admission import captcha_memory, visitors
from voice.admission.admit import Admission, CallRequest, admit
from voice.admission.captcha_memory import PersonCheck
from voice.admission.rating_token import RATING_OPEN_S, is_rating_token
from voice.api.endpoints import endpoint
from voice.api.errors import InvalidRequest, answer_for
from voice.api.json_body import read_json_object, text_field
from voice.models import Session, SessionState

_WIDGET_PATH = "/v1/voice/widget"
_SESSION_FIELDS = {
    "agent": str,
    "captcha": str,
    "voice": bool,
    "language": str,
    "consent": bool,
    "consent_version": str,
}
_RATING_FIELDS = {"token": str, "stars": int, "comment": str}
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,6})?")
_LONGEST_CAPTCHA = 8192
_LONGEST_COMMENT = 1000


@endpoint("POST")
def start(request: HttpRequest) -> HttpResponse:
    """Answer 201 with a ticket, or a refusal (admission/refusals.py)."""
    values = read_json_object(request, _SESSION_FIELDS)
    client_ip = client_ip_of(request)
    visitor = visitors.cookie_value(request.COOKIES.get(visitors.COOKIE, ""))
    person = PersonCheck(
        payload=text_field(values, "captcha", most=_LONGEST_CAPTCHA),
        cookie=request.COOKIES.get(captcha_memory.COOKIE, ""),
        client_ip=client_ip,
    )
    call = CallRequest(
        agent_key=text_field(values, "agent", least=1, most=64),
        user=request.user,
        client_ip=client_ip,
        origin=request.headers.get("Origin", ""),
        scheme=request.scheme or "http",
        host=request.get_host(),
        person=person,
        visitor_id=visitors.visitor_id(visitor, timezone.localdate()),
        is_voice=values.get("voice", True),
        language=_language(values),
        consent=values.get("consent"),
        consent_version=text_field(values, "consent_version", most=40),
    )
    try:
        answer = JsonResponse(_admitted(request, admit(call)), status=201)
    except Exception as error:  # answered here, not by the endpoint, because the cookies below go with refusals too
        answer = answer_for(error)
    _set_cookie(answer, visitors.COOKIE, visitor, visitors.COOKIE_AGE_S)
    if person.newly_solved:
        # Also when something later refused the call: the solution is used up, and nobody should solve another for that.
        remembered = captcha_memory.remember(client_ip)
        _set_cookie(answer, captcha_memory.COOKIE, remembered, settings.CAPTCHA_REMEMBERED_S)
    return answer


@endpoint("POST")
def rate(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Keep a caller's stars and comment; repeatable for an hour after the call."""
    values = read_json_object(request, _RATING_FIELDS)
    stars = values.get("stars", 0)
    if not 1 <= stars <= 5:
        raise InvalidRequest("stars must be 1 to 5.")
    comment = text_field(values, "comment", most=_LONGEST_COMMENT).strip()
    if not is_rating_token(text_field(values, "token", most=300), session_id):
        raise InvalidRequest("This call cannot be rated, or not any more.", code="invalid_token", status=403)
    since = timezone.now() - timedelta(seconds=RATING_OPEN_S)
    ended = Session.objects.filter(id=session_id, state=SessionState.ENDED, ended_at__gte=since)
    if not ended.update(stars=stars, comment=comment):
        raise InvalidRequest("This call cannot be rated, or not any more.", code="not_rateable", status=409)
    return JsonResponse({"stars": stars, "comment": comment})


def _admitted(request: HttpRequest, admission: Admission) -> dict[str, Any]:
    session = admission.session
    scheme = "wss" if request.is_secure() else "ws"
    return {
        "id": str(session.id),
        "ticket": admission.ticket,
        "websocket_url": f"{scheme}://{request.get_host()}{_WIDGET_PATH}",
        "model_asked": session.model_asked,
        "model_served": session.model_served,
        "model_reason": session.model_reason,
        "expires_at": session.ticket_expires_at.isoformat(),
    }


def _language(values: dict[str, Any]) -> str:
    language = text_field(values, "language", most=10)
    if language and not _LANGUAGE.fullmatch(language):
        raise InvalidRequest("language must be a tag such as en or en-IN.")
    return language


def _set_cookie(answer: HttpResponse, name: str, value: str, max_age_s: int) -> None:
    answer.set_cookie(name, value, max_age=max_age_s, httponly=True, samesite="Lax", secure=settings.HTTPS)
