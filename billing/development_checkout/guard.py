"""Who may come in: a program or a browser on this very machine, while the server is a developer's own."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse

from accounts.client_ip import is_loopback

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def development_only(view: View[P]) -> View[P]:
    """Answer 404 unless DEBUG is on, payments are the development checkout's, and the peer is this machine."""

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if not settings.DEBUG or settings.PAYMENTS != "development" or not is_loopback(request):
            raise Http404
        return view(request, *args, **kwargs)

    return guarded
