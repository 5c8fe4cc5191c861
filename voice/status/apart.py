"""Lets the status page be answered when nothing else can: without asking the database who looks at it."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

PATHS = frozenset({"/status/", "/api/v1/status"})


class ApartFromVisitors:
    """Takes the cookies off requests for the status, before sessions are looked up: everybody is shown the same."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path in PATHS:
            request.COOKIES = {}
        return self._get_response(request)
