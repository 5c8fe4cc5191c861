"""One shape of error, {"error": {"code", "message"}}, and the one function that turns exceptions into it."""

import sqlite3

import structlog
from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError
from django.http import JsonResponse
from redis.exceptions import RedisError

from billing.exceptions import LedgerError
from voice.admission.refusals import Refusal

log = structlog.get_logger(__name__)

# The database, the ledger and the cache (SQLite's file or Redis): without any of them nothing may start.
_OUT_OF_REACH = (DatabaseError, LedgerError, sqlite3.Error, RedisError, OSError)


class InvalidRequest(Exception):
    """What was sent cannot be used. `message` is for whoever wrote the client."""

    def __init__(self, message: str, *, code: str = "invalid_request", status: int = 400) -> None:
        super().__init__(message)
        self.message, self.code, self.status = message, code, status


def error_answer(status: int, code: str, message: str, retry_after_s: int | None = None) -> JsonResponse:
    answer = JsonResponse({"error": {"code": code, "message": message}}, status=status)
    answer["Cache-Control"] = "no-store"
    if retry_after_s is not None:
        answer["Retry-After"] = str(retry_after_s)
    return answer


def answer_for(error: Exception) -> JsonResponse:
    """Return what the client is told; what is not its fault is logged, and told without details."""
    match error:
        case Refusal():
            return error_answer(error.status, error.code, error.message, error.retry_after_s)
        case InvalidRequest():
            return error_answer(error.status, error.code, error.message)
        case RequestDataTooBig():
            return error_answer(413, "request_too_large", "The request is too large.")
    if isinstance(error, _OUT_OF_REACH):
        log.error("api out of reach of its data", error=type(error).__name__)
        return answer_for(Refusal("unavailable"))
    log.error("api request failed", exc_info=error)
    return error_answer(500, "internal_error", "Something went wrong on our side.")
