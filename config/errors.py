"""Plain error pages in development too: no traceback and no list of addresses reaches a browser."""

from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse
from django.views import defaults


class PlainErrorsMiddleware:
    """Puts our pages in the place of those that Django shows under DEBUG; the traceback is in the log as ever.

    It stands right behind the middleware that adds headers: what is inside of it may redirect and answer first.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        if not settings.DEBUG:
            raise MiddlewareNotUsed
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        if not response.headers.get("Content-Type", "").startswith("text/html"):
            return response
        match response.status_code:
            case 400:
                return defaults.bad_request(request, SuspiciousOperation())
            case 404:
                return defaults.page_not_found(request, Http404())
            case 500:
                return defaults.server_error(request)
        return response
