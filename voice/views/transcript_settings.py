"""The page on which an organisation says for how long what callers say is kept."""

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from accounts.permissions import MemberRequest, admin_required
from voice.models import TranscriptAudit
from voice.models.transcript import KEPT_DAYS_MAX, KEPT_DAYS_MIN
from voice.transcripts.rules import Rules, change_rules, rules_of

_RECENT = 20


class TranscriptSettingsForm(forms.Form):
    kept_days = forms.IntegerField(
        label="Keep conversations for, in days",
        min_value=KEPT_DAYS_MIN,
        max_value=KEPT_DAYS_MAX,
        help_text="Callers are told the number. Fewer days hold for what is there too, more only for calls to come.",
    )
    redacts = forms.BooleanField(
        label="Blot out card numbers, phone numbers and mail addresses",
        required=False,
        help_text="In what is said, before it is kept. What an agent was told to find out is kept as it was given.",
    )


@admin_required
@require_http_methods(["GET", "POST"])
def settings_page(request: MemberRequest) -> HttpResponse:
    rules = rules_of(request.organisation.pk)
    initial = {"kept_days": rules.kept_days, "redacts": rules.redacts}
    form = TranscriptSettingsForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        change_rules(request.organisation.pk, Rules(**form.cleaned_data))
        messages.success(request, "Saved.")
        return redirect("console:transcript_settings")
    audit = TranscriptAudit.objects.filter(organisation=request.organisation).select_related("actor")
    context = {
        "form": form,
        "audit": audit[:_RECENT],
        "policies": request.organisation.agents.order_by("name"),
    }
    return render(request, "voice/transcript_settings.html", context, status=422 if form.errors else 200)
