"""The console's pages about CRMs: where notes go, whether they arrive, and sending again what did not."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.db.models import Count, Q
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.permissions import MemberRequest, admin_required, member_required
from voice import outgoing
from voice.models import CrmConnection, CrmDelivery, CrmDeliveryState, Note
from voice.notes import connections
from voice.notes.connections import NameTaken, TooManyConnections, Wanted
from voice.notes.crm.base import PROBLEMS, Crm
from voice.notes.crm.registry import kinds
from voice.notes.deliver import check_connection, replay
from voice.notes.summarise import write_again

_DELIVERIES_SHOWN = 50
_SECRET_CHARS_MAX = 500


class ConnectionForm(forms.Form):
    """One connection. A secret is typed in and never shown: left empty, the one that is kept stays."""

    name = forms.CharField(max_length=80, help_text="What you call it, if you have more than one.")
    url = forms.CharField(max_length=2000, widget=forms.URLInput)
    secret = forms.CharField(
        max_length=_SECRET_CHARS_MAX,
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    is_active = forms.BooleanField(label="Send notes there", required=False, initial=True)

    def __init__(self, *args: Any, crm: type[Crm], has_secret: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if crm.url_label:
            self.fields["url"].label = crm.url_label
        else:
            del self.fields["url"]
        if not crm.secret_label:
            del self.fields["secret"]
            return
        self.fields["secret"].label = crm.secret_label
        self.fields["secret"].required = not has_secret
        kept = "It is kept encrypted and never shown again."
        self.fields["secret"].help_text = f"{kept} Leave it empty to keep the one you gave." if has_secret else kept

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"].strip()
        try:
            outgoing.check_url(url)
        except outgoing.Refused as refused:
            raise forms.ValidationError(refused.sentence) from None
        return url

    def clean_secret(self) -> str:
        secret: str = self.cleaned_data["secret"].strip()
        if not secret.isascii() or not secret.isprintable():
            raise forms.ValidationError("This holds characters that no key has.")
        return secret

    @property
    def wanted(self) -> Wanted:
        typed = self.cleaned_data
        return Wanted(typed["name"].strip(), typed.get("url", ""), typed.get("secret", ""), typed["is_active"])


@member_required
@require_safe
def crm(request: MemberRequest) -> HttpResponse:
    # Its secret is not needed here, and one that cannot be read any more must not take the page down.
    found = request.organisation.crm_connections.defer("secret").annotate(
        delivered=Count("deliveries", filter=Q(deliveries__state=CrmDeliveryState.DELIVERED)),
        dead=Count("deliveries", filter=Q(deliveries__state=CrmDeliveryState.DEAD)),
        pending=Count("deliveries", filter=Q(deliveries__state=CrmDeliveryState.PENDING)),
    )
    rows = [{"row": each, "kind": _label_of(each), "problem": PROBLEMS.get(each.test_problem, "")} for each in found]
    return render(request, "voice/crm.html", {"connections": rows, "kinds": kinds().values()})


@sensitive_post_parameters("secret")
@admin_required
@require_http_methods(["GET", "POST"])
def create(request: MemberRequest, kind: str) -> HttpResponse:
    made_by = kinds().get(kind)
    if made_by is None:
        raise Http404
    form = ConnectionForm(request.POST or None, crm=made_by, initial={"name": made_by.label, "is_active": True})
    if request.method == "POST" and form.is_valid():
        try:
            connection = connections.create_connection(request.organisation.pk, kind, form.wanted)
        except NameTaken:
            form.add_error("name", "You have a connection of this name.")
        except TooManyConnections:
            form.add_error(None, f"An organisation may have {connections.MOST_CONNECTIONS} connections.")
        else:
            if not made_by.secret_label:
                return _show_secret(request, connection, connection.secret)
            messages.success(request, f"{connection.name} is saved. Test it now.")
            return redirect("console:crm_connection", connection.pk)
    context = {"form": form, "crm": made_by}
    return render(request, "voice/crm_form.html", context, status=422 if form.errors else 200)


@sensitive_post_parameters("secret")
@member_required
@require_http_methods(["GET", "POST"])
def connection(request: MemberRequest, connection_id: UUID) -> HttpResponse:
    found = _connection_of(request, connection_id)
    made_by = kinds().get(found.kind)
    form = None
    if made_by and request.membership.is_admin:
        initial = {"name": found.name, "url": found.settings.get("url", ""), "is_active": found.is_active}
        form = ConnectionForm(request.POST or None, crm=made_by, has_secret=True, initial=initial)
    if request.method == "POST":
        if form is None:
            raise Http404
        if form.is_valid():
            try:
                connections.change_connection(found, form.wanted)
                messages.success(request, "Saved.")
                return redirect("console:crm_connection", found.pk)
            except NameTaken:
                form.add_error("name", "You have a connection of this name.")
    deliveries = found.deliveries.select_related("note__session__agent")[:_DELIVERIES_SHOWN]
    context = {
        "connection": _connection_of(request, connection_id),
        "crm": made_by,
        "form": form,
        "problem": PROBLEMS.get(found.test_problem, ""),
        "deliveries": [{"row": each, "problem": PROBLEMS.get(each.problem, "")} for each in deliveries],
        "makes_secret": bool(made_by and not made_by.secret_label),
    }
    return render(request, "voice/crm_connection.html", context, status=422 if form and form.errors else 200)


@admin_required
@require_POST
def test(request: MemberRequest, connection_id: UUID) -> HttpResponse:
    found = _connection_of(request, connection_id)
    problem = check_connection(found.pk)
    if problem:
        messages.error(request, f"{found.name} did not take it. {PROBLEMS[problem]}")
    else:
        messages.success(request, f"{found.name} answered as it should.")
    return redirect("console:crm_connection", found.pk)


@admin_required
@require_POST
def renew_secret(request: MemberRequest, connection_id: UUID) -> HttpResponse:
    found = _connection_of(request, connection_id)
    made_by = kinds().get(found.kind)
    if made_by is None or made_by.secret_label:
        raise Http404
    return _show_secret(request, found, connections.renew_secret(found))


@admin_required
@require_POST
def remove(request: MemberRequest, connection_id: UUID) -> HttpResponse:
    found = _connection_of(request, connection_id)
    found.delete()
    messages.success(request, f"{found.name} is removed. What it was sent stays there.")
    return redirect("console:crm")


@admin_required
@require_POST
def replay_delivery(request: MemberRequest, delivery_id: UUID) -> HttpResponse:
    delivery = get_object_or_404(
        CrmDelivery.objects.only("id", "note__session_id").select_related("note"),
        pk=delivery_id,
        note__organisation=request.organisation,
    )
    if replay(delivery.pk):
        messages.success(request, "It is sent again, for up to a day.")
    else:
        messages.warning(request, "It was not given up, so there is nothing to send again.")
    if request.POST.get("from") == "call":
        return redirect("console:call", delivery.note.session_id)
    return redirect("console:crm_connection", delivery.connection_id)


@admin_required
@require_POST
def write_note_again(request: MemberRequest, session_id: UUID) -> HttpResponse:
    session = get_object_or_404(request.organisation.sessions, pk=session_id)
    note = get_object_or_404(Note, session=session)
    if write_again(note):
        messages.success(request, "The note is written again.")
    else:
        messages.warning(request, "It did not fail, so there is nothing to write again.")
    return redirect("console:call", session.pk)


def _show_secret(request: MemberRequest, connection: CrmConnection, secret: str) -> HttpResponse:
    """Show a secret of our making in the answer to the press of a button: the one time that anybody sees it."""
    response = render(request, "voice/crm_secret.html", {"connection": connection, "secret": secret})
    response["Cache-Control"] = "no-store"
    return response


def _connection_of(request: MemberRequest, connection_id: UUID) -> CrmConnection:
    return get_object_or_404(request.organisation.crm_connections.defer("secret"), pk=connection_id)


def _label_of(connection: CrmConnection) -> str:
    made_by = kinds().get(connection.kind)
    return made_by.label if made_by else connection.kind
