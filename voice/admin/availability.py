"""What models are offered as, in the operator's tool: the switches, overrides of organisations, and the log of both."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.models import User
from config.model_admin import PAGE_ROWS, ModelAdmin, ModelForm, ReadOnly, TabularInline
from voice.admin.base import confirmation_page, is_confirmed, log_changes
from voice.admin.fields import LinesField, MomentField
from voice.catalogue import breaker
from voice.catalogue.on_offer import offers_to
from voice.catalogue.overrides import remove_override, save_override
from voice.catalogue.status_log import NewStatus, set_status
from voice.models import (
    CatalogueModel,
    ModelHealth,
    ModelOverride,
    ModelStatus,
    ModelStatusChange,
    Session,
    SessionState,
)
from voice.sessions.orders import control

_TONES = {"available": "good", "up": "good", "preview": "quiet", "maintenance": "warning", "down": "danger"}

_MOVING = (
    "Each goes on where it was, after a moment, with what stands in for its model. One that is still on offer may be "
    "chosen again: put it under maintenance first."
)


def who_asks(request: HttpRequest) -> str:
    """Return the operator's address, for the log."""
    return request.user.email if isinstance(request.user, User) else ""


def breaker_tag(model: CatalogueModel) -> SafeString:
    """Say in a word or two what calls and probes find of a model; nothing when nobody has asked."""
    health = getattr(model, "health", None)
    if health is None or not (health.opened_at or health.last_failure_at or health.last_success_at):
        return SafeString("")
    if health.opened_at:
        since = formats.date_format(timezone.localtime(health.opened_at), "j M, H:i")
        tone, word = ("danger", "Kept away") if breaker.keeps_away(health) else ("warning", "Next call tries it")
        tag = '<span class="tag tag-{}">{}</span><br><small>down since {}: {}</small>'
        return format_html(tag, tone, word, since, health.last_failure_code)
    if health.failures_in_a_row:
        tag = '<span class="tag tag-warning">Failing</span><br><small>{} in a row: {}</small>'
        return format_html(tag, health.failures_in_a_row, health.last_failure_code)
    return format_html('<span class="tag tag-good">{}</span>', "Answers")


class MaintenanceForm(forms.Form):
    note = forms.CharField(label="Why", max_length=200, required=False, help_text="Callers are told, and the log.")
    expected_back_at = MomentField(label="Expected back at", help_text="Callers are told. Empty: nobody knows yet.")

    def clean_expected_back_at(self) -> Any:
        moment = self.cleaned_data["expected_back_at"]
        if moment is not None and moment <= timezone.now():
            raise ValidationError("This time has passed.")
        return moment


class Switching(ModelAdmin[CatalogueModel]):
    """The list's actions: each is one row of the log a model, with the operator's address."""

    actions = ["under_maintenance", "available_again", "close_breaker", "move_calls"]

    @admin.action(description="Under maintenance", permissions=["change"])
    def under_maintenance(self, request: HttpRequest, queryset: QuerySet[CatalogueModel]) -> HttpResponse | None:
        models = list(queryset)
        form = MaintenanceForm(request.POST if is_confirmed(request) else None)
        if not form.is_valid():
            return confirmation_page(
                self,
                request,
                title=f"Put {_models(models)} under maintenance?",
                explanation="From the next call on, on every server, others answer. Calls that these models hold now "
                f"go on ({_live_calls(models).count()}): “Move live calls now” takes them away.",
                button="Under maintenance",
                back_url=_list_url(),
                listed=_stand_ins(models),
                form=form,
                action="under_maintenance",
                selected=models,
            )
        note, back_at = form.cleaned_data["note"], form.cleaned_data["expected_back_at"]
        self._switch(request, models, NewStatus(ModelStatus.MAINTENANCE, note, back_at))
        return None

    @admin.action(description="Available again", permissions=["change"])
    def available_again(self, request: HttpRequest, queryset: QuerySet[CatalogueModel]) -> None:
        self._switch(request, list(queryset), NewStatus(ModelStatus.AVAILABLE))

    @admin.action(description="Close the breaker", permissions=["change"])
    def close_breaker(self, request: HttpRequest, queryset: QuerySet[CatalogueModel]) -> None:
        closed = [model for model in queryset if breaker.close_by_hand(model, who_asks(request))]
        log_changes(request, closed, "Closed the breaker.")
        said = f"{_models(closed)}: calls are let through again." if closed else "None of these was kept away."
        self.message_user(request, said, messages.SUCCESS if closed else messages.WARNING)

    @admin.action(description="Move live calls now", permissions=["change"])
    def move_calls(self, request: HttpRequest, queryset: QuerySet[CatalogueModel]) -> HttpResponse | None:
        models = list(queryset)
        live = _live_calls(models).count()
        if not live:
            self.message_user(request, "No live call is held by these.", messages.WARNING)
            return None
        if not is_confirmed(request):
            return confirmation_page(
                self,
                request,
                title=f"Move {_calls(live)} away?",
                explanation=_MOVING,
                button="Move them now",
                back_url=_list_url(),
                listed=[f"{model.name} ({model.slug})" for model in models],
                action="move_calls",
                selected=models,
            )
        told = [model for model in models if control.move_calls_of(model.slug)]
        log_changes(request, told, "Moved live calls away.")
        _say_what_moves(self, request, live, all_told=len(told) == len(models))
        return None

    def _switch(self, request: HttpRequest, models: list[CatalogueModel], new: NewStatus) -> None:
        changed = set_status([model.pk for model in models], new, who=who_asks(request))
        log_changes(request, changed, f"Changed the status to {new.status}. {new.note}".strip())
        label = ModelStatus(new.status).label.lower()
        self.message_user(request, f"{_models(changed)}: {label} now." if changed else f"All were {label} already.")


class HealthInline(ReadOnly, TabularInline[ModelHealth, CatalogueModel]):
    model = ModelHealth
    extra = 0
    # There is one at most, so its heading is in the singular.
    verbose_name = "what calls and probes find"
    classes = ["only-shown"]
    fields = readonly_fields = (
        "state", "failures_in_a_row", "last_failure_at", "last_failure_code", "last_success_at", "opened_at",
        "next_probe_at",
    )  # fmt: skip

    @admin.display(description="breaker")
    def state(self, health: ModelHealth) -> SafeString:
        return breaker_tag(health.model)


class OverrideInline(ReadOnly, TabularInline[ModelOverride, CatalogueModel]):
    model = ModelOverride
    extra = 0
    verbose_name_plural = "Organisations that are offered it otherwise"
    classes = ["only-shown"]
    fields = readonly_fields = ("organisation", "status", "status_note", "expected_back_at", "max_output_tokens")
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[ModelOverride]:
        return super().get_queryset(request).select_related("organisation", "model")


class OverrideForm(ModelForm[ModelOverride]):
    status = forms.ChoiceField(choices=[("", "As for everybody"), *ModelStatus.choices], required=False)
    status_note = forms.CharField(
        label="Note", max_length=200, required=False, widget=forms.TextInput(attrs={"class": "vTextField"})
    )
    expected_back_at = MomentField(label="Expected back at")
    fallback_slugs = LinesField(
        label="Fallbacks", help_text="One a line, tried in this order. Empty: as for everybody."
    )
    max_output_tokens = forms.IntegerField(
        label="Longest answer, in tokens", min_value=1, required=False, help_text="Empty: as for everybody."
    )

    class Meta:
        model = ModelOverride
        fields = "__all__"

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        model = cleaned.get("model") or getattr(self.instance, "model", None)
        slugs = cleaned.get("fallback_slugs") or []
        if model is not None and slugs:
            known = set(CatalogueModel.objects.filter(kind=model.kind).values_list("slug", flat=True)) - {model.slug}
            if strange := [slug for slug in slugs if slug not in known]:
                self.add_error("fallback_slugs", f"No other model of this kind is called “{strange[0]}”.")
        return cleaned


@admin.register(ModelOverride)
class ModelOverrideAdmin(ModelAdmin[ModelOverride]):
    form = OverrideForm
    actions = ["move_calls"]
    list_display = ["organisation", "model", "offered_as", "status_note", "expected_back_at", "max_output_tokens"]
    list_filter = ["status", "model"]
    list_select_related = ["organisation", "model"]
    list_per_page = PAGE_ROWS
    search_fields = ["organisation__name", "model__slug"]
    autocomplete_fields = ["organisation", "model"]
    fieldsets = [
        (None, {"fields": ["organisation", "model"]}),
        ("On offer", {"fields": ["status", "status_note", "expected_back_at", "fallback_slugs"]}),
        ("Limits", {"fields": ["max_output_tokens"]}),
    ]

    def get_readonly_fields(self, request: HttpRequest, obj: ModelOverride | None = None) -> list[str]:
        # Another organisation's is another override: the log tells them apart.
        return ["organisation", "model"] if obj else []

    def save_model(self, request: HttpRequest, obj: ModelOverride, form: Any, change: bool) -> None:
        save_override(obj, who=who_asks(request))

    def delete_model(self, request: HttpRequest, obj: ModelOverride) -> None:
        remove_override(obj, who=who_asks(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[ModelOverride]) -> None:
        for override in queryset:
            remove_override(override, who=who_asks(request))

    @admin.action(description="Move live calls now", permissions=["change"])
    def move_calls(self, request: HttpRequest, queryset: QuerySet[ModelOverride]) -> HttpResponse | None:
        overrides = list(queryset.select_related("organisation", "model"))
        live = {each: _live_calls([each.model]).filter(organisation=each.organisation).count() for each in overrides}
        total = sum(live.values())
        if not total:
            self.message_user(request, "No live call of these organisations is held by these models.", messages.WARNING)
            return None
        if not is_confirmed(request):
            return confirmation_page(
                self,
                request,
                title=f"Move {_calls(total)} away?",
                explanation=_MOVING,
                button="Move them now",
                back_url=reverse("admin:voice_modeloverride_changelist"),
                listed=[f"{each.organisation}: {_calls(live[each])} with {each.model.name}" for each in overrides],
                action="move_calls",
                selected=overrides,
            )
        told = [each for each in overrides if control.move_calls_of(each.model.slug, each.organisation_id)]
        log_changes(request, told, "Moved live calls away.")
        _say_what_moves(self, request, total, all_told=len(told) == len(overrides))
        return None

    @admin.display(description="offered as", ordering="status")
    def offered_as(self, override: ModelOverride) -> SafeString | str:
        return _status_tag(override.status) if override.status else "as for everybody"


@admin.register(ModelStatusChange)
class ModelStatusChangeAdmin(ReadOnly, ModelAdmin[ModelStatusChange]):
    """Who or what changed what a model is offered as, and why; written by the product, never edited."""

    list_display = ["at", "model", "for_whom", "change", "who", "why"]
    list_display_links = None
    list_filter = ["after", "at", "model"]
    list_select_related = ["model", "organisation"]
    list_per_page = PAGE_ROWS
    show_full_result_count = False
    search_fields = ["model__slug", "who", "why", "organisation__name"]
    date_hierarchy = "at"

    @admin.display(description="for", ordering="organisation")
    def for_whom(self, change: ModelStatusChange) -> str:
        return str(change.organisation) if change.organisation else "everybody"

    @admin.display(description="change")
    def change(self, change: ModelStatusChange) -> SafeString:
        return format_html("{} → {}", change.before, _status_tag(change.after))


def _status_tag(status: str) -> SafeString:
    label = dict(ModelStatus.choices).get(status, status.capitalize())
    return format_html('<span class="tag tag-{}">{}</span>', _TONES.get(status, "quiet"), label)


def _live_calls(models: list[CatalogueModel]) -> QuerySet[Session]:
    return Session.objects.filter(state=SessionState.LIVE, model_served__in=[model.slug for model in models])


def _calls(number: int) -> str:
    return f"{number} live call{'' if number == 1 else 's'}"


def _say_what_moves(desk: ModelAdmin[Any], request: HttpRequest, live: int, *, all_told: bool) -> None:
    if all_told:
        desk.message_user(request, f"{_calls(live)} told to move.", messages.SUCCESS)
    else:
        desk.message_user(request, "Not every call could be told to move: the channel layer is away.", messages.ERROR)


def _stand_ins(models: list[CatalogueModel]) -> list[str]:
    """Say of each model what answers when all of them are away."""
    offers, away = offers_to(None), {model.pk for model in models}
    found = {model: next((other for other in offers.on_offer(model) if other.pk not in away), None) for model in models}
    return [f"{model.name}: {other.name if other else 'nothing'} answers instead." for model, other in found.items()]


def _models(models: list[CatalogueModel]) -> str:
    return models[0].name if len(models) == 1 else f"{len(models)} models"


def _list_url() -> str:
    return reverse("admin:voice_cataloguemodel_changelist")
