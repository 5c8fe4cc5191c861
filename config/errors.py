"""Plain error pages in development too: no traceback and no list of addresses reaches a browser."""

import sys
from collections.abc import Callable

import structlog
from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed, PermissionDenied
from django.core.signals import got_request_exception
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import Resolver404, resolve
from django.views import defaults

log = structlog.get_logger(__name__)


class PlainErrorsMiddleware:
    """Does under DEBUG what Django does without it. Must be the last middleware, so that others have had their say."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        if not settings.DEBUG:
            raise MiddlewareNotUsed
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            resolve(request.path_info)
        except Resolver404 as missing:
            return defaults.page_not_found(request, missing)
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, Http404):
            return defaults.page_not_found(request, exception)
        if isinstance(exception, PermissionDenied):
            return None
        log.error("request failed", exc_info=sys.exc_info())
        got_request_exception.send(sender=type(self), request=request)
        return defaults.server_error(request)
