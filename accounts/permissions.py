"""Who may open a page: decorators that give a view its member and organisation, or turn the visitor away."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from accounts.models import Membership, Organisation, User

P = ParamSpec("P")


class MemberRequest(HttpRequest):
    """What a decorated view is given: somebody logged in, acting for one organisation."""

    user: User
    membership: Membership
    organisation: Organisation


View = Callable[Concatenate[MemberRequest, P], HttpResponse]
Decorated = Callable[Concatenate[HttpRequest, P], HttpResponse]


def member_required(view: View[P]) -> Decorated[P]:
    """Let in any member; others log in first, and who belongs nowhere is asked to name an organisation."""

    @wraps(view)
    def checked(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if getattr(request, "membership", None) is None:
            return redirect("accounts:new_organisation")
        return view(request, *args, **kwargs)  # type: ignore[arg-type]

    return login_required(checked)


def admin_required(view: View[P]) -> Decorated[P]:
    """Let in owners and admins of the organisation; a plain member gets 403."""

    @wraps(view)
    def checked(request: MemberRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if not request.membership.is_admin:
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return member_required(checked)
