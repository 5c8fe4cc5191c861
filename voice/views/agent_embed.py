"""The console's page that puts an agent on a customer's site: the tag, how it looks, and what their page lacks."""

from typing import Any
from uuid import UUID

from csp.constants import SELF
from csp.decorators import csp_replace
from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from accounts.emails import public_link
from accounts.permissions import MemberRequest, admin_required
from voice.models import Agent, WidgetLook
from voice.outgoing import client
from voice.outgoing.errors import Refused
from voice.page_policy import FetchedPage, check_page, origin_of
from voice.widget_look import DEFAULT_ACCENT, chosen_look, save_look
from voice.words import languages

_LONGEST_PAGE_BYTES = 1_000_000
_FETCH_S = 8.0
_REDIRECTS_MAX = 3
# The page shows itself what visitors will see, in a frame of ours.
_PREVIEW = {"frame-src": [SELF]}


class LookForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = WidgetLook
        fields = ["label", "accent", "theme", "position", "language"]
        labels = {"label": "On the button", "accent": "Colour", "theme": "Light or dark", "position": "Where"}
        help_texts = {
            "label": "Empty: “Talk to us”.",
            "accent": "As #rrggbb. It is made darker or lighter only as far as reading it needs.",
        }
        widgets = {
            "accent": forms.TextInput(attrs={"placeholder": DEFAULT_ACCENT, "pattern": "#[0-9a-fA-F]{6}"}),
        }

    # What an owner may put in place of the language file's words: the field's name for "section.key".
    TEXTS = {
        "idle": "states.idle",
        "talk": "buttons.talk",
        "type_instead": "buttons.typeInstead",
        "end": "buttons.end",
        "placeholder": "page.type_a_message",
        "how_was_it": "page.how_was_it",
    }

    language = forms.ChoiceField(label="Language of its buttons", required=False)
    idle = forms.CharField(
        label="Before a call", max_length=60, required=False, help_text="Empty: “Ready when you are”."
    )
    talk = forms.CharField(label="To start a call", max_length=24, required=False, help_text="Empty: “Talk”.")
    type_instead = forms.CharField(
        label="To type instead", max_length=24, required=False, help_text="Empty: “Type instead”."
    )
    end = forms.CharField(label="To hang up", max_length=24, required=False, help_text="Empty: “End”.")
    placeholder = forms.CharField(
        label="Field to type in", max_length=40, required=False, help_text="Empty: “Type a message”."
    )
    how_was_it = forms.CharField(
        label="Above the stars", max_length=60, required=False, help_text="Empty: “How was this call?”."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        language = self.fields["language"]
        assert isinstance(language, forms.ChoiceField)
        language.choices = [("", "As the agent speaks, or English"), *languages().items()]
        for name, text in self.TEXTS.items():
            self.initial[name] = self.instance.texts.get(text, "")

    @property
    def words(self) -> list[forms.BoundField]:
        """The fields for the owner's own words."""
        return [self[name] for name in self.TEXTS]

    @property
    def look_fields(self) -> dict[str, Any]:
        """The validated fields by the model's own names."""
        fields = dict(self.cleaned_data)
        fields["texts"] = {text: value for name, text in self.TEXTS.items() if (value := fields.pop(name))}
        return fields


class CheckForm(forms.Form):
    url = forms.URLField(label="Address of your page", max_length=500, assume_scheme="https")


@csp_replace(_PREVIEW)  # type: ignore[arg-type]  # it is typed for views without arguments
@admin_required
@require_http_methods(["GET", "POST"])
def embed(request: MemberRequest, agent_id: UUID) -> HttpResponse:
    agent = _agent_of(request, agent_id)
    form = LookForm(request.POST or None, instance=chosen_look(agent))
    if request.method == "POST" and form.is_valid():
        save_look(agent, **form.look_fields)
        messages.success(request, "Saved. Your site shows it within a minute.")
        return redirect("console:embed_agent", agent.pk)
    return _page(request, agent, form=form, status=422 if form.errors else 200)


@csp_replace(_PREVIEW)  # type: ignore[arg-type]
@admin_required
@require_safe
def check(request: MemberRequest, agent_id: UUID) -> HttpResponse:
    """Fetch the customer's page, as `?url=` says, and show what it lacks."""
    agent = _agent_of(request, agent_id)
    form = CheckForm(request.GET)
    found: dict[str, Any] = {}
    if form.is_valid():
        found = _look_at(form.cleaned_data["url"], agent)
    return _page(request, agent, check_form=form, status=422 if form.errors else 200, **found)


def _look_at(url: str, agent: Agent) -> dict[str, Any]:
    try:
        reply = client.request(
            "GET", url, headers={}, timeout_s=_FETCH_S, max_bytes=_LONGEST_PAGE_BYTES, redirects_max=_REDIRECTS_MAX
        )
    except Refused as refused:
        return {"not_fetched": refused.sentence}
    headers = {name.lower(): value for name, value in reply.headers.items()}
    page = FetchedPage(url, headers, reply.body.decode(errors="replace"))
    listed = frozenset(str(origin) for origin in agent.allowed_origins)
    findings = check_page(page, host=_host(), public_key=agent.public_key, listed=listed)
    return {"findings": findings, "checked_url": url, "is_sound": all(finding.ok for finding in findings)}


def _page(request: MemberRequest, agent: Agent, *, status: int, **context: Any) -> HttpResponse:
    context.setdefault("form", LookForm(instance=chosen_look(agent)))
    context.setdefault("check_form", CheckForm())
    values = {"agent": agent, "host": _host(), **context}
    return render(request, "voice/agent_embed.html", values, status=status)


def _host() -> str:
    return origin_of(public_link("embed_script"))


def _agent_of(request: MemberRequest, agent_id: UUID) -> Agent:
    return get_object_or_404(request.organisation.agents.select_related("organisation"), pk=agent_id)
