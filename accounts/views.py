"""Pages about people and organisations: parse, authorise, call one rule, render."""

from uuid import UUID

import structlog
from allauth.account.decorators import reauthentication_required
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_ratelimit.core import is_ratelimited

from accounts import invitations, organisations
from accounts.emails import send_invitation
from accounts.exceptions import InvitationRefused, NotAllowed, OwnerNeeded
from accounts.forms import INVITATION, InvitationForm, OrganisationForm, ProfileForm, roles_given_by
from accounts.middleware import CHOSEN
from accounts.models import Invitation, Membership, User
from accounts.permissions import MemberRequest, admin_required, member_required

log = structlog.get_logger(__name__)

# Enough to bring in a whole team in one afternoon, too few to send other people's mail through us.
INVITATIONS_PER_ORGANISATION = "50/d"

_REFUSALS = {
    "unknown": "This invitation does not exist, or was withdrawn. Ask for a new one.",
    "expired": "This invitation has expired: they are good for seven days. Ask for a new one.",
    "used": "This invitation was already accepted.",
    "other_address": "This invitation is for another address than yours.",
    "already_member": "That person is a member already.",
    "too_many": "There are too many open invitations. Withdraw some first.",
}
_NOT_ALLOWED = "Only an owner may do that."
_OWNER_NEEDED = "An organisation needs an owner. Make somebody else an owner first."


@member_required
@require_GET
def members(request: MemberRequest) -> HttpResponse:
    return _members_page(request, InvitationForm(by=request.membership))


@admin_required
@require_POST
def invite(request: MemberRequest) -> HttpResponse:
    form = InvitationForm(request.POST, by=request.membership)
    if not form.is_valid():
        return _members_page(request, form, status=422)
    if is_ratelimited(
        request, group="accounts.invite", key=_organisation_key, rate=INVITATIONS_PER_ORGANISATION, increment=True
    ):
        form.add_error(None, "Your organisation has sent many invitations today. Please go on tomorrow.")
        return _members_page(request, form, status=429)
    try:
        made, secret = invitations.invite(request.membership, form.cleaned_data["email"], form.cleaned_data["role"])
        send_invitation(made, secret)
    except InvitationRefused as refusal:
        form.add_error("email", _REFUSALS[refusal.code])
        return _members_page(request, form, status=422)
    except OSError as error:
        log.warning("invitation not mailed", error=type(error).__name__, organisation_id=str(request.organisation.pk))
        made.delete()
        form.add_error(None, "The mail could not be sent. Please try again in a minute.")
        return _members_page(request, form, status=503)
    messages.success(request, f"Invitation sent to {made.email}.")
    return redirect("accounts:members")


@admin_required
@require_POST
def change_role(request: MemberRequest, pk: int) -> HttpResponse:
    member = get_object_or_404(Membership, pk=pk, organisation=request.organisation)
    role = request.POST.get("role", "")
    if role not in dict(roles_given_by(request.membership)):
        messages.error(request, _NOT_ALLOWED)
        return redirect("accounts:members")
    try:
        organisations.change_role(member, role, by=request.membership)
    except NotAllowed:
        messages.error(request, _NOT_ALLOWED)
    except OwnerNeeded:
        messages.error(request, _OWNER_NEEDED)
    else:
        messages.success(request, f"{member.user.get_full_name()} is now {member.get_role_display().lower()}.")
    return redirect("accounts:members")


@member_required
@require_POST
def remove_member(request: MemberRequest, pk: int) -> HttpResponse:
    member = get_object_or_404(Membership, pk=pk, organisation=request.organisation)
    is_self = member.pk == request.membership.pk
    try:
        organisations.remove_member(member, by=request.membership)
    except NotAllowed:
        messages.error(request, _NOT_ALLOWED)
    except OwnerNeeded:
        messages.error(request, _OWNER_NEEDED)
    else:
        messages.success(request, f"{'You' if is_self else member.user.get_full_name()} left {member.organisation}.")
    return redirect("accounts:members")


@admin_required
@require_POST
def withdraw_invitation(request: MemberRequest, pk: int) -> HttpResponse:
    found = get_object_or_404(Invitation, pk=pk, organisation=request.organisation, accepted_at=None)
    invitations.withdraw(found, by=request.membership)
    messages.success(request, f"The invitation to {found.email} is withdrawn.")
    return redirect("accounts:members")


@admin_required
@require_http_methods(["GET", "POST"])
def organisation_settings(request: MemberRequest) -> HttpResponse:
    form = OrganisationForm(request.POST or None, instance=request.organisation)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, "Saved.")
        return redirect("accounts:organisation")
    return render(request, "accounts/organisation.html", {"form": form}, status=422 if form.errors else 200)


@login_required
@require_http_methods(["GET", "POST"])
def new_organisation(request: HttpRequest) -> HttpResponse:
    """For who was removed from the only organisation they had."""
    assert isinstance(request.user, User)
    if organisations.membership_of(request.user) is not None:
        return redirect("console:overview")
    form = OrganisationForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        organisations.create_organisation(form.cleaned_data["name"], request.user, country=form.cleaned_data["country"])
        return redirect("console:overview")
    return render(request, "accounts/new_organisation.html", {"form": form}, status=422 if form.errors else 200)


@member_required
@require_POST
def choose_organisation(request: MemberRequest) -> HttpResponse:
    try:
        chosen = UUID(request.POST.get("organisation", ""))
    except ValueError:
        return redirect("console:overview")
    membership = get_object_or_404(request.user.memberships, organisation_id=chosen)
    request.session[CHOSEN] = str(membership.organisation_id)
    return redirect("console:overview")


@login_required
@require_http_methods(["GET", "POST"])
def account(request: HttpRequest) -> HttpResponse:
    assert isinstance(request.user, User)
    form = ProfileForm(request.POST or None, instance=request.user)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, "Saved.")
        return redirect("accounts:account")
    return render(request, "accounts/account.html", {"form": form}, status=422 if form.errors else 200)


@login_required
@reauthentication_required  # type: ignore[untyped-decorator]
@require_http_methods(["GET", "POST"])
def delete_account(request: HttpRequest) -> HttpResponse:
    assert isinstance(request.user, User)
    if request.method == "GET":
        return render(request, "accounts/delete_account.html", {"closing": organisations.closes_with(request.user)})
    try:
        organisations.delete_account(User.objects.get(pk=request.user.pk))
    except OwnerNeeded:
        messages.error(request, _OWNER_NEEDED)
        return redirect("accounts:delete_account")
    logout(request)
    messages.success(request, "Your account is deleted.")
    return redirect("landing")


@require_GET
@never_cache
def invitation(request: HttpRequest, secret: str) -> HttpResponse:
    try:
        found = invitations.open_invitation(secret)
    except InvitationRefused as refusal:
        return _refused(request, refusal)
    user = request.user
    if isinstance(user, User):
        may_accept = invitations.has_proved(user, found.email)
    else:
        may_accept = False
        request.session[INVITATION] = secret
    has_account = User.objects.filter(email=found.email).exists()
    context = {"invitation": found, "secret": secret, "may_accept": may_accept, "has_account": has_account}
    return render(request, "accounts/invitation.html", context)


@login_required
@require_POST
def accept_invitation(request: HttpRequest, secret: str) -> HttpResponse:
    assert isinstance(request.user, User)
    try:
        membership = invitations.accept(secret, User.objects.get(pk=request.user.pk))
    except InvitationRefused as refusal:
        return _refused(request, refusal)
    request.session.pop(INVITATION, None)
    request.session[CHOSEN] = str(membership.organisation_id)
    messages.success(request, f"Welcome to {membership.organisation}.")
    return redirect("console:overview")


def _members_page(request: MemberRequest, form: InvitationForm, status: int = 200) -> HttpResponse:
    context = {
        "form": form,
        "members": request.organisation.memberships.select_related("user").order_by("created_at"),
        "invitations": request.organisation.invitations.filter(accepted_at=None),
        "roles": roles_given_by(request.membership),
    }
    return render(request, "accounts/members.html", context, status=status)


def _refused(request: HttpRequest, refusal: InvitationRefused) -> HttpResponse:
    sentence = _REFUSALS[refusal.code]
    return render(request, "accounts/invitation_refused.html", {"sentence": sentence}, status=410)


def _organisation_key(group: str, request: MemberRequest) -> str:
    return str(request.organisation.pk)
