"""The console's pages about calls."""

from uuid import UUID

from django import forms
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from accounts.models import Organisation
from accounts.permissions import MemberRequest, member_required
from voice.models import EndReason, Outcome
from voice.views.receipt import receipt_of

_CALLS_A_PAGE = 25


class CallFilter(forms.Form):
    """What the list is narrowed to; a value that is no choice narrows nothing."""

    agent = forms.ChoiceField(required=False)
    outcome = forms.ChoiceField(choices=[("", "Any outcome"), *Outcome.choices], required=False)
    end_reason = forms.ChoiceField(
        label="Ended because", choices=[("", "Any reason"), *EndReason.choices], required=False
    )

    def __init__(self, *args: object, organisation: Organisation, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        agent = self.fields["agent"]
        assert isinstance(agent, forms.ChoiceField)
        agent.choices = [("", "Any agent"), *((str(each.pk), each.name) for each in organisation.agents.all())]

    def chosen(self) -> dict[str, str]:
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}


@member_required
@require_safe
def calls(request: MemberRequest) -> HttpResponse:
    form = CallFilter(request.GET, organisation=request.organisation)
    chosen = form.chosen()
    sessions = request.organisation.sessions.select_related("agent").filter(**chosen)
    page = Paginator(sessions, _CALLS_A_PAGE).get_page(request.GET.get("page"))
    query = request.GET.copy()
    query.pop("page", None)
    context = {"form": form, "page": page, "is_filtered": bool(chosen), "query": query.urlencode()}
    return render(request, "voice/calls.html", context)


@member_required
@require_safe
def call(request: MemberRequest, session_id: UUID) -> HttpResponse:
    session = get_object_or_404(request.organisation.sessions.select_related("agent"), pk=session_id)
    records = list(session.usage_records.all())
    context = {
        "session": session,
        "turns": session.turns.all(),
        "records": records,
        "receipt": receipt_of(records),
    }
    return render(request, "voice/call.html", context)
