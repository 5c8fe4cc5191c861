"""Puts the organisation a logged-in person acts for on every request."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from accounts.organisations import membership_of

CHOSEN = "organisation_id"


class OrganisationMiddleware:
    """Sets `request.membership` and `request.organisation`, both None for a visitor."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        membership = None
        if request.user.is_authenticated:
            membership = membership_of(request.user, chosen=request.session.get(CHOSEN))
        request.membership = membership  # type: ignore[attr-defined]
        request.organisation = membership.organisation if membership else None  # type: ignore[attr-defined]
        return self._get_response(request)
