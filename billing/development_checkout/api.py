"""The API's one view: who calls, what they want, whether it was answered before, and the answer."""

import hashlib
import json
import re

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from billing.development_checkout import API_VERSION
from billing.development_checkout.errors import CARD_ERROR, ApiError, Json
from billing.development_checkout.expanding import shown
from billing.development_checkout.guard import development_only
from billing.development_checkout.parameters import Parameters, read_form
from billing.development_checkout.routes import Operation, find_operation
from billing.development_checkout.store import Answer, Books, new_id, open_books
from billing.development_checkout.webhooks import courier

_KEY = re.compile(r"sk_test_[A-Za-z0-9_]{1,200}")
_LONGEST_BODY = 64 * 1024
_LONGEST_IDEMPOTENCY_KEY = 255


# A program calls this, with a key in a header that no browser sends by itself: there is no cookie to abuse.
@csrf_exempt
@development_only
def answer(request: HttpRequest, path: str) -> HttpResponse:
    request_id = new_id("req_")
    try:
        given, is_replay = _answer(request, path, request_id)
    except ApiError as error:
        given, is_replay = Answer("", error.status, _json(error.body()), request_id), False
    courier.wake()
    response = HttpResponse(given.body, status=given.status, content_type="application/json")
    response["Request-Id"] = request_id
    response["Stripe-Version"] = API_VERSION
    if key := request.headers.get("Idempotency-Key"):
        response["Idempotency-Key"] = key
    if is_replay:
        response["Idempotent-Replayed"] = "true"
        response["Original-Request"] = given.request_id
    return response


def _answer(request: HttpRequest, path: str, request_id: str) -> tuple[Answer, bool]:
    """Return the answer and whether it is a repeated one. Raises ApiError."""
    _check_key(request)
    operation, identifiers = find_operation(request.method or "", path)
    encoded = _parameters_of(request)
    key = _idempotency_key(request)
    fingerprint = f"/v1/{path} {hashlib.sha256(encoded.encode()).hexdigest()}"
    with open_books() as books:
        books.request_id, books.idempotency_key = request_id, key
        if key and (kept := books.answer_to(key)) is not None:
            _check_same(key, kept.request, fingerprint)
            return kept, True
        try:
            body, status = _perform(books, operation, identifiers, encoded), 200
        except ApiError as error:
            # Stripe replays what its endpoints answered, and forgets what was refused before it reached them.
            if key and error.status == CARD_ERROR:
                books.keep_answer(key, Answer(fingerprint, error.status, _json(error.body()), request_id))
            raise
        given = Answer(fingerprint, status, _json(body), request_id)
        if key:
            books.keep_answer(key, given)
        return given, False


def _perform(books: Books, operation: Operation, identifiers: tuple[str, ...], encoded: str) -> Json:
    given = Parameters(read_form(encoded))
    paths = given.texts("expand")
    body = operation(books, given, *identifiers)
    given.refuse_others()
    return shown(books, body, paths)


def _check_key(request: HttpRequest) -> None:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key:
        raise ApiError("You did not provide an API key.", status=401)
    if not _KEY.fullmatch(key):
        # A live key that strays here must not end up in a log, nor half of it in a message.
        raise ApiError(
            "Invalid API Key: the development checkout takes only keys that begin with sk_test_.", status=401
        )


def _parameters_of(request: HttpRequest) -> str:
    if request.method != "POST":
        return str(request.META.get("QUERY_STRING", ""))[: _LONGEST_BODY + 1]
    try:
        body = request.body
    except RequestDataTooBig:
        body = b"x" * (_LONGEST_BODY + 1)
    if len(body) > _LONGEST_BODY:
        raise ApiError(f"The request is longer than {_LONGEST_BODY} bytes.", status=413)
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise ApiError("The request is not UTF-8.") from None


def _idempotency_key(request: HttpRequest) -> str | None:
    key = request.headers.get("Idempotency-Key") if request.method == "POST" else None
    if key and len(key) > _LONGEST_IDEMPOTENCY_KEY:
        raise ApiError(f"Idempotency keys have at most {_LONGEST_IDEMPOTENCY_KEY} characters.")
    return key or None


def _check_same(key: str, before: str, now: str) -> None:
    """Raise ApiError when the key was used for another request."""
    if before == now:
        return
    its_path, path = before.partition(" ")[0], now.partition(" ")[0]
    rule = "with the same parameters they were first used with"
    if its_path != path:
        rule = f"for the same endpoint they were first used for ('{its_path}' vs '{path}')"
    raise ApiError(
        f"Keys for idempotent requests can only be used {rule}. Try using a key other than '{key}' if you meant to"
        " execute a different request.",
        kind="idempotency_error",
    )


def _json(body: Json) -> str:
    return json.dumps(body, indent=2)
