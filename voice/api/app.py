"""The API as one whole: its operations, how its errors are answered, and the OpenAPI document they make."""

from functools import cache
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError
from ninja.parser import Parser

from voice.api import captcha, chat, client_secrets, models, pricing, sessions, speech, status, transcriptions
from voice.api.errors import answer_for

_ABOUT = (
    "Calls and their records, client secrets, the catalogue, and the cheaper endpoints for text and speech, in the"
    ' shapes of OpenAI\'s API where it has one. Errors are always `{"error": {code, message, type, param}}`.'
)


class _ReadBody(Parser):
    def parse_body(self, request: HttpRequest) -> Any:
        # It was read and checked before (edge.py).
        return request.json_values  # type: ignore[attr-defined]


def _answer(request: HttpRequest, error: Any) -> HttpResponse:
    return answer_for(error)


api = NinjaAPI(
    title="Parley API",
    version="1",
    description=_ABOUT,
    urls_namespace="voice_api",
    openapi_url=None,
    docs_url=None,
    parser=_ReadBody(),
)
for router in (
    sessions.router,
    client_secrets.router,
    chat.router,
    transcriptions.router,
    speech.router,
    models.router,
    pricing.router,
    status.router,
    captcha.router,
):
    api.add_router("", router)
for kind in (Exception, Http404, HttpError, ValidationError):
    api.add_exception_handler(kind, _answer)


@cache
def openapi_document() -> dict[str, Any]:
    """Return the one OpenAPI document, as plain values."""
    document: dict[str, Any] = api.get_openapi_schema(path_prefix="/")
    return document
