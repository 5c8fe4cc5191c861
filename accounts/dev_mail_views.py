"""Pages of the development mailbox."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache

from accounts.client_ip import is_loopback
from accounts.dev_mail import kept_mail, kept_mails

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def developers_machine_only(view: View[P]) -> View[P]:
    """Answer 404 unless DEBUG is on and the browser runs on this machine: mails hold links that log people in."""

    @wraps(view)
    def checked(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if not settings.DEBUG or not is_loopback(request):
            raise Http404
        return view(request, *args, **kwargs)

    return checked


@developers_machine_only
@never_cache
def mailbox(request: HttpRequest) -> HttpResponse:
    return render(request, "accounts/dev_mail/mailbox.html", {"mails": kept_mails()})


@developers_machine_only
@never_cache
def mail(request: HttpRequest, key: str) -> HttpResponse:
    found = kept_mail(key)
    if found is None:
        raise Http404
    return render(request, "accounts/dev_mail/mail.html", {"mail": found})
