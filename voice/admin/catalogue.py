"""The catalogue: put a model under maintenance at once, see what shuts down soon, and set prices for a later day."""

from datetime import date
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponseNotAllowed, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils import formats, timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from billing.formatting import format_credits, format_money
from config.model_admin import InlineFormSet, ModelForm, ReadOnly, TabularInline
from voice.admin.availability import HealthInline, OverrideInline, Switching, breaker_tag, who_asks
from voice.admin.base import log_changes
from voice.admin.fields import CreditsField, LinesField, MomentField
from voice.catalogue.http_models import answers_over_http
from voice.catalogue.on_offer import is_gone
from voice.catalogue.providers import missing_key
from voice.catalogue.rate_card import Kind
from voice.catalogue.status_log import save_model
from voice.metering.provider_cost import MICRO_PER_USD_MICRO
from voice.models import CatalogueModel, ModelStatus, ProviderAdapter, Rate
from voice.models.catalogue import ModelKind
from voice.sessions.fallback.probes import probe

# Days before a shutdown: time to try the successor, and time to hurry.
_SOON_DAYS = 90
_VERY_SOON_DAYS = 30
_ADAPTERS = [("", "None: a helper"), *ProviderAdapter.choices]
# What needs no provider of its own.
_BUILT_IN = {"", "openai", "pipeline"}
# Why a model did not answer, for whoever can do something about it.
_TRIAL_SAYS = {
    "upstream_unauthorized": "it does not accept the key",
    "upstream_model_not_found": "it knows no such model, or the address is wrong",
    "upstream_rate_limited": "the quota of this minute or of the account is used up",
    "upstream_unavailable": "it is in trouble itself",
    "upstream_refused": "it refuses the connection: the address may be wrong",
    "upstream_unreachable": "nothing answers at its address",
    "upstream_connect_timeout": "it did not answer within 10 seconds",
    "upstream_timeout": "it did not answer within 10 seconds",
    "upstream_garbage": "what answers there does not speak the protocol",
    "upstream_closed": "it hung up at once",
    "upstream_dropped": "the connection was lost at once",
}


class CatalogueModelForm(ModelForm[CatalogueModel]):
    fallback_slugs = LinesField(label="Fallbacks", help_text="One a line, tried in this order.")
    expected_back_at = MomentField(label="Expected back at")
    voices = LinesField(help_text="One a line. Empty: whatever an agent asks for.")
    adapter = forms.ChoiceField(choices=_ADAPTERS, required=False)

    class Meta:
        model = CatalogueModel
        fields = "__all__"

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.instance.pk and is_shut_down(self.instance) and "status" in self.fields:
            self.fields["status"].help_text = "Shut down: its day has come, and calls go elsewhere whatever this says."

    def clean_fallback_slugs(self) -> list[str]:
        return [self._other(slug) for slug in self.cleaned_data["fallback_slugs"]]

    def clean_successor_slug(self) -> str:
        slug: str = self.cleaned_data["successor_slug"]
        return self._other(slug) if slug else ""

    def clean_rated_as_slug(self) -> str:
        slug: str = self.cleaned_data["rated_as_slug"]
        if slug and not Rate.objects.filter(model__slug=slug).exists():
            raise ValidationError("“%(slug)s” has no rates.", params={"slug": slug})
        return slug

    def clean_transcription_slug(self) -> str:
        slug: str = self.cleaned_data["transcription_slug"]
        return self._other(slug) if slug else ""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if provider := cleaned.get("provider"):
            kind = cleaned.get("kind")
            if kind in (ModelKind.CHAT, ModelKind.SPEECH) and not answers_over_http(provider, kind):
                self.add_error("provider", "This provider serves calls only, no text or speech beside them.")
            # One truth: a model is talked to as its provider is.
            cleaned["adapter"] = provider.adapter if cleaned.get("kind") == ModelKind.REALTIME else ""
        elif cleaned.get("adapter") not in _BUILT_IN:
            self.add_error("provider", "Choose the provider: nothing of that kind is built in.")
        return cleaned

    def _other(self, slug: str) -> str:
        """Return the slug of another model of the catalogue. Raises ValidationError."""
        if slug == self.instance.slug:
            raise ValidationError("A model cannot stand in for itself.")
        if not CatalogueModel.objects.filter(slug=slug).exists():
            raise ValidationError("No model of the catalogue is called “%(slug)s”.", params={"slug": slug})
        return slug


class StatusForm(ModelForm[CatalogueModel]):
    """The list's own form: what is switched in a hurry."""

    expected_back_at = MomentField()

    class Meta:
        model = CatalogueModel
        fields = ["status", "status_note", "expected_back_at"]
        widgets = {
            "status_note": forms.TextInput(attrs={"class": "vTextField", "placeholder": "What callers are told"})
        }

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for name, field in self.fields.items():
            field.widget.attrs["aria-label"] = f"{name.replace('_', ' ').capitalize()} of {self.instance.slug}"
        if is_shut_down(self.instance):
            # Whatever was chosen before: nothing brings it back but another date on its page.
            status = cast(forms.ChoiceField, self.fields["status"])
            status.choices, status.disabled = [(self.instance.status, "Shut down")], True


class RateForm(ModelForm[Rate]):
    kind = forms.ChoiceField(choices=[(kind.value, kind.value.replace("_", " ")) for kind in Kind])
    micro_per_million = CreditsField(label="Credits per million")
    list_price_usd_micro_per_million = CreditsField(label="List price, $ per million")

    class Meta:
        model = Rate
        fields = ["kind", "micro_per_million", "list_price_usd_micro_per_million", "valid_from"]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # In a table the column's head is no label.
        for field in self.fields.values():
            field.widget.attrs["aria-label"] = field.label

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        valid_from, kind, today = cleaned.get("valid_from"), cleaned.get("kind"), timezone.localdate()
        if valid_from and kind and valid_from <= today and not self._is_first_price(kind, valid_from, today):
            self.add_error("valid_from", "Calls of today and before keep their price: choose a later day.")
        return cleaned

    def _is_first_price(self, kind: str, valid_from: date, today: date) -> bool:
        rates = Rate.objects.filter(model=self.instance.model_id, kind=kind).exclude(pk=self.instance.pk)
        return valid_from == today and not rates.filter(valid_from__lte=today).exists()


class RateInline(ReadOnly, TabularInline[Rate, CatalogueModel]):
    """The prices in force and those before them: calls were charged by them, so they never change."""

    model = Rate
    extra = 0
    verbose_name_plural = "Prices, per million units"
    classes = ["only-shown"]
    fields = readonly_fields = ("unit", "price", "list_price", "margin", "valid_from", "in_force")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Rate]:
        today = timezone.localdate()
        newer = Rate.objects.filter(
            model=OuterRef("model"), kind=OuterRef("kind"), valid_from__gt=OuterRef("valid_from"), valid_from__lte=today
        )
        return super().get_queryset(request).filter(valid_from__lte=today).annotate(is_replaced=Exists(newer))

    @admin.display(description="unit")
    def unit(self, rate: Rate) -> str:
        return rate.kind.replace("_", " ")

    @admin.display(description="credits")
    def price(self, rate: Rate) -> str:
        return format_credits(rate.micro_per_million)

    @admin.display(description="list price")
    def list_price(self, rate: Rate) -> str:
        return format_money(rate.list_price_usd_micro_per_million * MICRO_PER_USD_MICRO, "USD")

    @admin.display(description="margin")
    def margin(self, rate: Rate) -> str:
        return margin_of(rate) or "–"

    @admin.display(description="state")
    def in_force(self, rate: Any) -> SafeString:
        if rate.is_replaced:
            return format_html('<span class="tag tag-quiet">{}</span>', "Replaced")
        return format_html('<span class="tag tag-good">{}</span>', "In force")


def is_shut_down(model: CatalogueModel) -> bool:
    """Say whether the provider's day has come of a model that nobody has retired."""
    return model.status != ModelStatus.RETIRED and is_gone(model, timezone.localdate())


class LaterRateFormSet(InlineFormSet[Rate, CatalogueModel, ModelForm[Rate]]):
    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        if "DELETE" in form.fields:
            form.fields["DELETE"].widget.attrs["aria-label"] = "Delete this price"


class LaterRateInline(TabularInline[Rate, CatalogueModel]):
    model = Rate
    form = RateForm
    formset = LaterRateFormSet
    extra = 0
    verbose_name = "price from a later day"
    verbose_name_plural = "Prices from a later day"
    fields = ["kind", "micro_per_million", "list_price_usd_micro_per_million", "margin", "valid_from"]
    readonly_fields = ["margin"]
    classes = ["later-prices"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Rate]:
        return super().get_queryset(request).filter(valid_from__gt=timezone.localdate())

    @admin.display(description="margin")
    def margin(self, rate: Rate) -> str:
        return margin_of(rate) or "–"


@admin.register(CatalogueModel)
class CatalogueModelAdmin(Switching):
    form = CatalogueModelForm
    list_display = ["called", "status", "status_note", "expected_back_at", "shutdown", "stand_ins"]
    list_editable = ["status", "status_note", "expected_back_at"]
    list_filter = ["status", "kind", "provider", "adapter"]
    list_select_related = ["health"]
    change_form_template = "admin/parley/model.html"
    search_fields = ["slug", "name", "provider_model"]
    ordering = ["kind", "slug"]
    inlines = [RateInline, LaterRateInline, HealthInline, OverrideInline]
    fieldsets = [
        (None, {"fields": ["slug", "name", "kind", "provider", "adapter", "provider_model"]}),
        ("On offer", {"fields": ["status", "status_note", "expected_back_at"]}),
        ("What comes after it", {"fields": ["shutdown_on", "successor_slug", "fallback_slugs"]}),
        ("Billing and captions", {"fields": ["rated_as_slug", "transcription_slug"]}),
        ("Limits", {"fields": ["context_tokens", "max_output_tokens", "sees_images", "is_reasoning", "voices"]}),
    ]

    def get_urls(self) -> list[URLPattern]:
        trying = path("<path:model_id>/try/", self.admin_site.admin_view(self.try_it), name="voice_model_try")
        return [trying, *super().get_urls()]

    def try_it(self, request: HttpRequest, model_id: str) -> HttpResponseBase:
        """Dial the model as a call would, tell its breaker, and say what came of it; written down like a change."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_change_permission(request):
            raise PermissionDenied
        model = get_object_or_404(CatalogueModel, slug=model_id, kind=ModelKind.REALTIME)
        back = HttpResponseRedirect(reverse("admin:voice_cataloguemodel_change", args=[model.pk]))
        if missing := missing_key(model, None):
            self.message_user(request, f"{model.name} {missing}.", messages.ERROR)
            return back
        trial = probe(model)
        if trial.code:
            why = _TRIAL_SAYS.get(trial.code, f"it answers “{trial.code}”")
            self.message_user(request, f"{model.name} cannot be used now: {why}.", messages.ERROR)
        else:
            self.message_user(request, f"{model.name} answers: session.created after {trial.took_ms} ms.")
        log_changes(request, [model], f"Tried: {trial.code or f'answered after {trial.took_ms} ms'}.")
        return back

    def save_model(self, request: HttpRequest, obj: CatalogueModel, form: Any, change: bool) -> None:
        save_model(obj, who=who_asks(request))

    def get_readonly_fields(self, request: HttpRequest, obj: CatalogueModel | None = None) -> list[str]:
        # Agents, sessions and usage name it.
        return ["slug"] if obj else []

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # It is retired instead: its prices say what past calls were charged by.
        return False

    def get_changelist_form(self, request: HttpRequest, **options: Any) -> type[ModelForm[CatalogueModel]]:
        return super().get_changelist_form(request, **{**options, "form": StatusForm})

    @admin.display(description="model", ordering="slug")
    def called(self, model: CatalogueModel) -> SafeString:
        found = breaker_tag(model)
        name = format_html("{}<br><small>{}</small>", model.slug, model.get_kind_display())
        return format_html("{}<br>{}", name, found) if found else name

    @admin.display(description="shuts down", ordering="shutdown_on", empty_value="–")
    def shutdown(self, model: CatalogueModel) -> SafeString | None:
        if model.shutdown_on is None:
            return None
        days = (model.shutdown_on - timezone.localdate()).days
        when = formats.date_format(model.shutdown_on, "j M Y")
        return format_html(
            '<span class="tag tag-{}">{}</span><br><small>{}</small>', _urgency(days), when, _in_words(days)
        )

    @admin.display(description="stood in for by")
    def stand_ins(self, model: CatalogueModel) -> SafeString | str:
        """The successor once it is gone, and the fallbacks in their order, as catalogue.on_offer tries them."""
        slugs = [model.successor_slug, *(str(slug) for slug in model.fallback_slugs)]
        return format_html_join("", "{}<br>", ((slug,) for slug in dict.fromkeys(slugs) if slug)) or "–"


def margin_of(rate: Rate) -> str | None:
    """Return our share of the price, `25.9 %`, rounded down; None without a price, or a list price to compare it to."""
    price_micro = rate.micro_per_million
    if not price_micro or not rate.list_price_usd_micro_per_million:
        return None
    cost_micro = rate.list_price_usd_micro_per_million * MICRO_PER_USD_MICRO
    tenths = (price_micro - cost_micro) * 1000 // price_micro
    sign = "−" if tenths < 0 else ""
    return f"{sign}{abs(tenths) // 10}.{abs(tenths) % 10} %"


def _urgency(days: int) -> str:
    if days < _VERY_SOON_DAYS:
        return "danger"
    return "warning" if days < _SOON_DAYS else "quiet"


def _in_words(days: int) -> str:
    if days > 0:
        return "tomorrow" if days == 1 else f"in {days} days"
    return "today" if days == 0 else "gone"
