"""One shape of error, {"error": {"code", "message", "type", "param"}}, and what turns exceptions into it."""

import sqlite3
from typing import Any

import structlog
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.db import DatabaseError
from django.http import Http404, JsonResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from ninja.errors import HttpError, ValidationError
from redis.exceptions import RedisError

from accounts.exceptions import KeyRefused
from billing.exceptions import LedgerError
from voice.admission.refusals import Refusal

log = structlog.get_logger(__name__)

# The database, the ledger and the cache (SQLite's file or Redis): without any of them nothing may start.
_OUT_OF_REACH = (DatabaseError, LedgerError, sqlite3.Error, RedisError, OSError)

_TYPES = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    429: "rate_limit_error",
}
_LONGEST_VALUE = 60


class InvalidRequest(Exception):
    """What was sent cannot be used. `message` is for whoever wrote the client; `param` names the field, if one."""

    def __init__(
        self, message: str, *, code: str = "invalid_request", status: int = 400, param: str | None = None
    ) -> None:
        super().__init__(message)
        self.message, self.code, self.status, self.param = message, code, status, param


def error_body(status: int, code: str, message: str, param: str | None = None) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "type": type_of(status), "param": param}}


def type_of(status: int) -> str:
    """Return the family of an error, as OpenAI's clients know them."""
    return _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")


def error_answer(
    status: int, code: str, message: str, retry_after_s: int | None = None, param: str | None = None
) -> JsonResponse:
    answer = JsonResponse(error_body(status, code, message, param), status=status)
    answer["Cache-Control"] = "no-store"
    if retry_after_s is not None:
        answer["Retry-After"] = str(retry_after_s)
    if status == 401:
        answer["WWW-Authenticate"] = "Bearer"
    return answer


def answer_for(error: Exception) -> JsonResponse:
    """Return what the client is told; what is not its fault is logged, and told without details."""
    match error:
        case RequestDataTooBig():
            return error_answer(413, "request_too_large", "The request is too large.")
        case Refusal():
            return error_answer(error.status, error.code, error.message, error.retry_after_s)
        case KeyRefused():
            return answer_for(Refusal(error.code))
        case InvalidRequest():
            return error_answer(error.status, error.code, error.message, param=error.param)
        case ValidationError():
            return answer_for(_first_problem(error))
        case Http404():
            return error_answer(404, NOT_FOUND, "There is nothing at this address.")
        case HttpError():
            return answer_for(InvalidRequest(error.message, status=error.status_code))
        case MultiPartParserError() | UnreadablePostError() | SuspiciousOperation():
            return answer_for(InvalidRequest("The body cannot be read."))
    if isinstance(error, _OUT_OF_REACH):
        log.error("api out of reach of its data", error=type(error).__name__)
        return answer_for(Refusal("unavailable"))
    log.error("api request failed", exc_info=error)
    return error_answer(500, "internal_error", "Something went wrong on our side.")


NOT_FOUND = "not_found"


def _first_problem(error: ValidationError) -> InvalidRequest:
    """Return the first thing that is wrong, by the field's own name: body.values.metadata.a becomes metadata.a."""
    problem = error.errors[0]
    where = [str(part) for part in problem["loc"]]
    # It begins with where ninja looked; a body is followed by the argument that it was to become.
    path = where[2:] if where[0] == "body" else where[1:]
    param = ".".join(path[:6])[:200] or None
    message = problem["msg"].removeprefix("Value error, ")
    # What an encoding cannot say has no place in an answer either.
    message = message.encode(errors="replace").decode()
    name = param and param.encode(errors="replace").decode()
    return InvalidRequest(f"{name}: {message}." if name else f"{message}.", param=name)
