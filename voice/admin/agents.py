"""Agents of every organisation: find them, pause them, correct them."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from config.model_admin import PAGE_ROWS, ModelAdmin, ModelForm
from voice.admin.base import log_changes
from voice.admin.fields import CreditsField, LinesField
from voice.admission.origins import normalised
from voice.agents import (
    COLLECTED_NAME,
    LONGEST_DESCRIPTION,
    MOST_COLLECTED,
    TAKEN_TASK_NAMES,
    pause_agent,
    resume_agent,
)
from voice.models import Agent, CatalogueModel
from voice.models.catalogue import ModelKind

_LONGEST_CALL_S = 3600
_MOST_SILENCE_S = 120


class AgentForm(ModelForm[Agent]):
    allowed_origins = LinesField(help_text="One a line: https://www.example.com. Ours always may.")
    daily_ceiling_micro = CreditsField(label="Daily ceiling", help_text="Credits that public calls may cost in a day.")

    class Meta:
        model = Agent
        fields = "__all__"
        labels = {"max_duration_s": "Longest call, seconds", "silence_timeout_s": "Silence timeout, seconds"}
        widgets = {"greeting": forms.Textarea(attrs={"rows": 2, "class": "vLargeTextField"})}

    def clean_allowed_origins(self) -> list[str]:
        return [_origin(line) for line in self.cleaned_data["allowed_origins"]]

    def clean_collects(self) -> list[dict[str, str]]:
        collects = self.cleaned_data["collects"] or []
        if not isinstance(collects, list) or len(collects) > MOST_COLLECTED:
            raise ValidationError(f"A list of at most {MOST_COLLECTED}.")
        fields = [_collected(each) for each in collects]
        if len({field["name"] for field in fields}) < len(fields):
            raise ValidationError("Each name once.")
        return fields

    def clean_task_name(self) -> str:
        name: str = self.cleaned_data["task_name"]
        if name in TAKEN_TASK_NAMES:
            raise ValidationError("Every assistant has a tool of this name.")
        return name

    def clean_model_slug(self) -> str:
        slug: str = self.cleaned_data["model_slug"]
        if not CatalogueModel.objects.filter(slug=slug, kind=ModelKind.REALTIME).exists():
            raise ValidationError("No realtime model of the catalogue has this name.")
        return slug

    def clean_max_duration_s(self) -> int:
        return _within(self.cleaned_data["max_duration_s"], 30, _LONGEST_CALL_S)

    def clean_silence_timeout_s(self) -> int:
        return _within(self.cleaned_data["silence_timeout_s"], 5, _MOST_SILENCE_S)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if bool(cleaned.get("collects")) != bool(cleaned.get("task_name")) and not self.errors:
            raise ValidationError("A task needs both: its name, and what it collects.")
        return cleaned


@admin.register(Agent)
class AgentAdmin(ModelAdmin[Agent]):
    form = AgentForm
    list_display = ["name", "organisation", "answers", "template", "model_slug", "language", "is_public", "is_demo"]
    list_filter = ["is_active", "is_public", "is_demo", "template", "model_slug", "language"]
    list_select_related = ["organisation"]
    list_per_page = PAGE_ROWS
    show_full_result_count = False
    search_fields = ["name", "organisation__name", "=public_key", "^id"]
    search_help_text = "Name, organisation, or key."
    raw_id_fields = ["organisation"]
    readonly_fields = ["id", "public_key", "created_at", "updated_at"]
    actions = ["activate", "pause"]
    fieldsets = [
        (None, {"fields": ["organisation", "name", "template", "is_active", "is_public", "is_demo"]}),
        ("Conversation", {"fields": ["greeting", "instructions", "language", "voice", "model_slug"]}),
        ("Task", {"fields": ["task_name", "collects"]}),
        (
            "Limits",
            {
                "fields": [
                    "max_duration_s",
                    "silence_timeout_s",
                    "max_output_tokens",
                    "history",
                    "daily_ceiling_micro",
                    "shows_prices",
                ]
            },
        ),
        ("Embedding", {"fields": ["allowed_origins", "public_key"]}),
        ("Record", {"fields": ["id", "created_at", "updated_at"], "classes": ["collapse"]}),
    ]

    @admin.display(description="answers", ordering="is_active")
    def answers(self, agent: Agent) -> SafeString:
        if agent.is_active:
            return format_html('<span class="tag tag-good">{}</span>', "Active")
        return format_html('<span class="tag tag-warning">{}</span>', "Paused")

    @admin.action(description="Activate", permissions=["change"])
    def activate(self, request: HttpRequest, queryset: QuerySet[Agent]) -> None:
        agents = list(queryset.filter(is_active=False))
        for agent in agents:
            resume_agent(agent)
        log_changes(request, agents, "Activated.")
        self.message_user(request, f"{len(agents)} activated.", messages.SUCCESS)

    @admin.action(description="Pause: take no new calls", permissions=["change"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Agent]) -> None:
        agents = list(queryset.filter(is_active=True))
        for agent in agents:
            pause_agent(agent)
        log_changes(request, agents, "Paused.")
        self.message_user(request, f"{len(agents)} paused. Calls that are live go on.", messages.SUCCESS)


def _origin(line: str) -> str:
    """Return a web origin as browsers send it. Raises ValidationError."""
    if origin := normalised(line):
        return origin
    raise ValidationError("“%(line)s” is not an origin like https://www.example.com.", params={"line": line[:80]})


def _collected(value: object) -> dict[str, str]:
    """Return one thing a task collects. Raises ValidationError."""
    if not isinstance(value, dict) or not set(value) <= {"name", "description"}:
        raise ValidationError('Each is {"name": …, "description": …}.')
    name, description = value.get("name"), value.get("description", "")
    if not isinstance(name, str) or not COLLECTED_NAME.fullmatch(name):
        raise ValidationError("A name is lower-case letters, digits and underscores, for example street_address.")
    if not isinstance(description, str) or len(description) > LONGEST_DESCRIPTION:
        raise ValidationError(f"A description has at most {LONGEST_DESCRIPTION} characters.")
    return {"name": name, "description": description}


def _within(value: int, least: int, most: int) -> int:
    if not least <= value <= most:
        raise ValidationError(f"From {least} to {most} seconds.")
    return value
