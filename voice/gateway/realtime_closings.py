"""How a Realtime connection may end: the last error event, and the close code behind it. Pure.

Programs act on the event, so its code is one of OpenAI's own where there is one. LiveKit's plugin reconnects for ever
unless it reads insufficient_quota, invalid_api_key or account_deactivated; those are said only where that is right.
"""

from dataclasses import dataclass
from uuid import uuid4

from voice.realtime_events import dump
from voice.sessions.programs.client import Refusal

_INVALID, _SERVER, _QUOTA = "invalid_request_error", "server_error", "insufficient_quota"


@dataclass(frozen=True, slots=True)
class Closing:
    close_code: int
    type: str
    code: str
    message: str
    # Nothing a program does by itself will help, or it knows that: it need not be slowed down.
    is_final: bool = False


_NO_CREDIT = Closing(4402, _QUOTA, "insufficient_quota", "Your prepaid balance is used up.", is_final=True)
_BUDGET = Closing(4402, _QUOTA, "insufficient_quota", "This key has used up what it may spend.", is_final=True)
_REVOKED = Closing(4401, _INVALID, "invalid_api_key", "This API key has been revoked.", is_final=True)
_FROM_OUTSIDE = Closing(4000, _INVALID, "session_ended", "This session was ended from outside.", is_final=True)
_SUSPENDED = Closing(4403, _INVALID, "account_deactivated", "This organisation is suspended.", is_final=True)
_PAUSED = Closing(1013, _SERVER, "calls_paused", "Calls are paused at the moment. Please try again later.")
_NETWORK = Closing(4403, _INVALID, "network_blocked", "Calls from your network are not accepted.")
BETA = Closing(
    4000,
    _INVALID,
    "beta_api_shape_disabled",
    "The beta of the Realtime API is retired. Leave out the header and the subprotocol that ask for it, and send "
    "session.update in its present shape (session.type, session.audio).",
    is_final=True,
)
NO_UPSTREAM = Closing(1011, _SERVER, "upstream_unavailable", "The model cannot be reached right now.")
INTERNAL = Closing(1011, _SERVER, "internal_error", "Something went wrong on our side. You pay only for what was used.")

# What a session that had begun ended by (voice.models.EndReason).
_ENDINGS = {
    "out_of_credit": _NO_CREDIT,
    "api_key_revoked": _REVOKED,
    "organisation_suspended": _SUSPENDED,
    "paused": _PAUSED,
    "network_blocked": _NETWORK,
    "operator_ended": _FROM_OUTSIDE,
    "api_ended": _FROM_OUTSIDE,
    "shutting_down": Closing(1012, _SERVER, "server_restarting", "The server is restarting. Please connect again."),
    "max_duration": Closing(
        4408, _INVALID, "session_expired", "Your session hit the maximum duration of {minutes} minutes.", is_final=True
    ),
    "silence": Closing(4408, _INVALID, "session_idle", "Nothing was said in this session for a long time."),
    "connection_too_slow": Closing(4409, _SERVER, "connection_too_slow", "You do not read what you are sent."),
    "upstream_failed": Closing(
        1011, _SERVER, "upstream_failed", "The model broke off. You pay only for what was used."
    ),
}
# How a program broke the protocol (CallerBrokeProtocol).
_MISCONDUCT = {
    "too_much_audio": Closing(4429, _INVALID, "rate_limit_exceeded", "You send more data than a session may."),
    "too_many_messages": Closing(4429, _INVALID, "rate_limit_exceeded", "You send more events than a session may."),
    "binary_frame": Closing(1003, _INVALID, "invalid_event", "Events are sent as text: audio is base64 in JSON."),
    "too_many_errors": Closing(4400, _INVALID, "invalid_event", "Too many of your events could not be done."),
}
# Why a session could not begin (voice.admission.refusals), where the words there are not all there is to say.
_REFUSALS = {
    "out_of_credit": _NO_CREDIT,
    "api_key_budget_reached": _BUDGET,
    "client_secret_used_up": _BUDGET,
    "organisation_suspended": _SUSPENDED,
    "api_key_revoked": _REVOKED,
    "calls_paused": _PAUSED,
    "network_blocked": _NETWORK,
}


def closing_for(reason: str, code: str, *, max_duration_s: int) -> Closing:
    """Return how to close when a session has ended; `code` is the word for what the program did wrong, if it did."""
    closing = _MISCONDUCT.get(code) or _ENDINGS.get(reason, INTERNAL)
    message = closing.message.format(minutes=max(1, max_duration_s // 60))
    return Closing(closing.close_code, closing.type, closing.code, message, closing.is_final)


def closing_for_refusal(code: str, status: int, message: str) -> Closing:
    """Return how to close when admission refused a session."""
    if known := _REFUSALS.get(code):
        return known
    if status >= 500:
        return Closing(1013, _SERVER, code, message)
    if status == 429:
        return Closing(4429, _INVALID, "rate_limit_exceeded", message)
    return Closing(4404 if status == 404 else 4403, _INVALID, code, message)


def closing_for_request(refusal: Refusal) -> Closing:
    """Return how to close when the address asks for what cannot be had."""
    return Closing(4400, _INVALID, refusal.code, refusal.message)


def last_words(closing: Closing) -> bytes:
    return error_event(closing.type, Refusal(closing.code, closing.message))


def error_event(kind: str, refusal: Refusal) -> bytes:
    """Return a GA `error` event."""
    error = {
        "type": kind, "code": refusal.code, "message": refusal.message, "param": refusal.param,
        "event_id": refusal.event_id,
    }  # fmt: skip
    return dump({"type": "error", "event_id": f"event_{uuid4().hex}", "error": error})
