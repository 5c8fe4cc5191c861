"""The console's pages about conversations: the list, one of them, and what may be done with its words."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from accounts.models import Organisation
from accounts.permissions import MemberRequest, admin_required, member_required
from billing.ledger import MICRO
from voice.models import EndReason, Outcome, Session, Transcript, TranscriptAudit, WebhookDelivery
from voice.transcripts import audit, store
from voice.transcripts.deletion import delete_conversation
from voice.transcripts.export import FORMATS, without_numbers
from voice.transcripts.forgetting import calls_of_caller, export_caller, forget_caller
from voice.transcripts.reading import collected_fields_of, transcript_of
from voice.views.receipt import receipt_of
from voice.views.timeline import timeline_of

_A_PAGE = 25
_MOST_DELIVERIES = 20
# How long after a call its webhooks may have been written: what follows it waits for a worker at most so long.
_WEBHOOKS_WITHIN = timedelta(days=2)
_MOST_CREDITS = 1_000_000
_FIRST_DAY, _LAST_DAY = date(2000, 1, 1), date(2200, 1, 1)


def _day(label: str) -> forms.DateField:
    # Beyond these a day has no midnight in every time zone.
    between = [MinValueValidator(_FIRST_DAY), MaxValueValidator(_LAST_DAY)]
    return forms.DateField(
        label=label, required=False, validators=between, widget=forms.DateInput(attrs={"type": "date"})
    )


class ConversationFilter(forms.Form):
    """What the list is narrowed to; a value that is no choice narrows nothing."""

    agent = forms.ChoiceField(required=False)
    since = _day("From")
    until = _day("To")
    outcome = forms.ChoiceField(choices=[("", "Any outcome"), *Outcome.choices], required=False)
    end_reason = forms.ChoiceField(
        label="Ended because", choices=[("", "Any reason"), *EndReason.choices], required=False
    )
    stars = forms.ChoiceField(
        label="Rating",
        choices=[("", "Any rating"), *((str(n), f"{n} star{'s' if n > 1 else ''}") for n in range(5, 0, -1))],
        required=False,
    )
    cost_from = forms.IntegerField(label="Credits, from", required=False, min_value=0, max_value=_MOST_CREDITS)
    cost_to = forms.IntegerField(label="Credits, to", required=False, min_value=0, max_value=_MOST_CREDITS)

    def __init__(self, *args: Any, organisation: Organisation, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        agent = self.fields["agent"]
        assert isinstance(agent, forms.ChoiceField)
        agent.choices = [("", "Any agent"), *((str(each.pk), each.name) for each in organisation.agents.all())]

    def chosen(self) -> dict[str, Any]:
        """Return what narrows the list, as lookups of Session."""
        self.is_valid()
        given = {name: value for name, value in self.cleaned_data.items() if value not in ("", None)}
        lookups: dict[str, Any] = {
            name: given[name] for name in ("agent", "outcome", "end_reason", "stars") if name in given
        }
        if "since" in given:
            lookups["created_at__gte"] = _midnight(given["since"])
        if "until" in given:
            lookups["created_at__lt"] = _midnight(given["until"] + timedelta(days=1))
        if "cost_from" in given:
            lookups["captured_micro__gte"] = given["cost_from"] * MICRO
        if "cost_to" in given:
            lookups["captured_micro__lte"] = given["cost_to"] * MICRO
        return lookups


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the list; `older` is the cursor of the next one, "" on the last. Nothing is counted."""

    sessions: Sequence[Session]
    older: str
    is_first: bool


@member_required
@require_safe
def conversations(request: MemberRequest) -> HttpResponse:
    form = ConversationFilter(request.GET, organisation=request.organisation)
    chosen = form.chosen()
    page = _page(request.organisation.sessions.filter(**chosen), request.GET.get("before", ""))
    query = request.GET.copy()
    query.pop("before", None)
    context = {"form": form, "page": page, "is_filtered": bool(chosen), "query": query.urlencode()}
    return render(request, "voice/conversations.html", context)


@member_required
@require_safe
def conversation(request: MemberRequest, session_id: UUID) -> HttpResponse:
    session = _session_of(request, session_id)
    records = list(session.usage_records.all())
    transcript = transcript_of(session.pk)
    context = {
        "session": session,
        "rungs": session.rungs.all(),
        "transcript": transcript,
        "deletes_at": Transcript.objects.filter(session=session).values_list("deletes_at", flat=True).first(),
        "timeline": timeline_of(session, transcript, records),
        "collected": collected_fields_of(session.pk),
        "records": records,
        "receipt": receipt_of(records),
        "webhook_deliveries": _webhook_deliveries(session),
        "calls_of_caller": calls_of_caller(session).count() if session.visitor_id else 1,
        "formats": FORMATS,
    }
    return render(request, "voice/conversation.html", context)


@member_required
@require_safe
def download(request: MemberRequest, session_id: UUID, name: str) -> HttpResponse:
    """Answer with the transcript as a file; `?redacted=1` leaves numbers and addresses out."""
    session = _session_of(request, session_id)
    transcript = transcript_of(session.pk)
    if name not in FORMATS or transcript is None:
        raise Http404
    if request.GET.get("redacted"):
        transcript = without_numbers(transcript)
    audit.write(session, TranscriptAudit.Action.DOWNLOADED, request.user)
    file = FORMATS[name]
    return _file(file.write(transcript, collected_fields_of(session.pk)), file.content_type, f"{session.pk}.{name}")


@admin_required
@require_POST
def delete(request: MemberRequest, session_id: UUID) -> HttpResponse:
    session = _session_of(request, session_id)
    delete_conversation(session, request.user)
    messages.success(request, "What was said in this conversation is deleted.")
    return redirect("console:call", session.pk)


@admin_required
@require_POST
def redact(request: MemberRequest, session_id: UUID) -> HttpResponse:
    session = _session_of(request, session_id)
    store.redact(session, request.user)
    messages.success(request, "Card numbers, phone numbers and mail addresses are blotted out.")
    return redirect("console:call", session.pk)


@admin_required
@require_POST
def forget(request: MemberRequest, session_id: UUID) -> HttpResponse:
    session = _session_of(request, session_id)
    calls = forget_caller(session, request.user)["calls"]
    messages.success(request, f"The caller is forgotten: {calls} conversation{'' if calls == 1 else 's'}.")
    return redirect("console:call", session.pk)


@admin_required
@require_POST
def export(request: MemberRequest, session_id: UUID) -> HttpResponse:
    """Answer with all that is held of the caller, as JSON."""
    session = _session_of(request, session_id)
    text = json.dumps(export_caller(session, request.user), ensure_ascii=False, indent=2)
    return _file(text, "application/json", f"caller-of-{session.pk}.json")


def _session_of(request: MemberRequest, session_id: UUID) -> Session:
    return get_object_or_404(request.organisation.sessions.select_related("agent"), pk=session_id)


def _page(sessions: QuerySet[Session], before: str) -> Page:
    """Return the page of sessions older than the cursor: as quick on the thousandth page as on the first."""
    cursor = _cursor(before)
    if cursor:
        at, session_id = cursor
        sessions = sessions.filter(created_at__lte=at).exclude(Q(created_at=at, pk__gte=session_id))
    has_transcript = Exists(Transcript.objects.filter(session=OuterRef("pk")))
    ordered = sessions.select_related("agent").annotate(has_transcript=has_transcript).order_by("-created_at", "-pk")
    found = list(ordered[: _A_PAGE + 1])
    shown = found[:_A_PAGE]
    older = f"{shown[-1].created_at.isoformat()}~{shown[-1].pk}" if len(found) > _A_PAGE else ""
    return Page(shown, older, is_first=cursor is None)


def _cursor(text: str) -> tuple[datetime, UUID] | None:
    at, _, session_id = text[:100].partition("~")
    try:
        moment = datetime.fromisoformat(at)
        is_sound = timezone.is_aware(moment) and _FIRST_DAY <= moment.date() <= _LAST_DAY
        return (moment, UUID(session_id)) if is_sound else None
    except ValueError:
        return None


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time()))


def _webhook_deliveries(session: Session) -> list[WebhookDelivery]:
    until = (session.ended_at or session.created_at) + _WEBHOOKS_WITHIN
    of_organisation = WebhookDelivery.objects.filter(
        endpoint__organisation_id=session.organisation_id, created_at__range=(session.created_at, until)
    )
    about_it = of_organisation.filter(data__session_id=str(session.pk)).select_related("endpoint")
    return list(about_it.order_by("created_at")[:_MOST_DELIVERIES])


def _file(text: str, content_type: str, name: str) -> HttpResponse:
    # A lone surrogate cannot be here (transcripts/store.py); what a holder exports may be anything.
    response = HttpResponse(text.encode("utf-8", "replace"), content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    return response
