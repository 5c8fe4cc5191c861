"""Providers in the operator's tool: their addresses and keys, which are typed and replaced but never shown again."""

import re
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest

from config.model_admin import ModelAdmin, ModelForm, TabularInline
from voice.models import Provider, ProviderAdapter, ProviderKey

_SECRETS = ("api_key", "speech_api_key")
# A key becomes a header: what could end the line is no key.
_KEY = re.compile(r"[\x21-\x7e]{1,4000}")
_SECURE = {"https", "wss"}
_PLAIN = {"http", "ws"}


class KeyField(forms.CharField):
    """Never rendered: empty keeps what is there."""

    def __init__(self, label: str) -> None:
        widget = forms.PasswordInput(render_value=False, attrs={"autocomplete": "off", "class": "vTextField"})
        super().__init__(label=label, required=False, widget=widget, help_text="Empty: stays as it is.")

    def clean(self, value: Any) -> str:
        key: str = super().clean(value)
        if key and not _KEY.fullmatch(key):
            raise ValidationError("A key has no spaces, line breaks or letters beyond ASCII.")
        return key


class _KeysForm(ModelForm[Any]):
    """The two keys of a row; `forget_keys` empties both."""

    def save(self, commit: bool = True) -> Any:
        for name in _SECRETS:
            if key := self.cleaned_data.get(f"new_{name}"):
                setattr(self.instance, name, key)
            elif self.cleaned_data.get("forget_keys"):
                setattr(self.instance, name, "")
        return super().save(commit)


class ProviderForm(_KeysForm):
    new_api_key = KeyField("Key")
    new_speech_api_key = KeyField("Key for speech")
    forget_keys = forms.BooleanField(label="Forget the keys", required=False)

    class Meta:
        model = Provider
        exclude = _SECRETS

    def clean_base_url(self) -> str:
        return _address(self.cleaned_data["base_url"])

    def clean_speech_url(self) -> str:
        return _address(self.cleaned_data["speech_url"])

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("adapter") == ProviderAdapter.AZURE_OPENAI and not cleaned.get("base_url"):
            self.add_error("base_url", "Azure has no address for everyone: type your resource's.")
        if bool(cleaned.get("entra_tenant")) != bool(cleaned.get("entra_client_id")):
            self.add_error("entra_client_id", "A tenant and an application belong together.")
        return cleaned


class OrganisationKeyForm(_KeysForm):
    new_api_key = KeyField("Key")
    new_speech_api_key = KeyField("Key for speech")

    class Meta:
        model = ProviderKey
        exclude = _SECRETS

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # In a table the column's head is no label.
        for field in self.fields.values():
            field.widget.attrs["aria-label"] = field.label


class OrganisationKeyInline(TabularInline[ProviderKey, Provider]):
    model = ProviderKey
    form = OrganisationKeyForm
    extra = 0
    verbose_name = "organisation's own key"
    verbose_name_plural = "Organisations' own keys, which count before ours"
    autocomplete_fields = ["organisation"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ProviderKey]:
        return super().get_queryset(request).defer(*_SECRETS)


@admin.register(Provider)
class ProviderAdmin(ModelAdmin[Provider]):
    form = ProviderForm
    list_display = ["name", "adapter", "host", "has_key", "model_count"]
    list_filter = ["adapter"]
    search_fields = ["name"]
    readonly_fields = ["has_key"]
    inlines = [OrganisationKeyInline]
    fieldsets = [
        (None, {"fields": ["name", "adapter", "base_url", "needs_key", "has_key", "new_api_key"]}),
        ("Azure with Microsoft Entra instead of a key", {"fields": ["entra_tenant", "entra_client_id"]}),
        ("Pipelines", {"fields": ["chat_model", "speech_to_text_model", "text_to_speech_model"]}),
        ("Speech at another place than chat", {"fields": ["speech_url", "new_speech_api_key"]}),
        ("Both keys", {"fields": ["forget_keys"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Provider]:
        # Never read here: with the wrong keys the list would not open at all.
        rows = super().get_queryset(request).defer(*_SECRETS)
        has_key = ~Q(api_key="") | ~Q(speech_api_key="")
        return rows.annotate(models_served=Count("models", distinct=True), is_keyed=has_key)

    @admin.display(description="to", ordering="base_url")
    def host(self, provider: Provider) -> str:
        return urlsplit(provider.base_url or provider.speech_url).netloc or "as the settings say"

    @admin.display(description="has a key", boolean=True)
    def has_key(self, provider: Any) -> bool:
        # One that is being added has no row yet.
        return bool(getattr(provider, "is_keyed", False))

    @admin.display(description="models")
    def model_count(self, provider: Any) -> int:
        return int(provider.models_served)


def _address(address: str) -> str:
    """Return an address a key may be sent to. Raises ValidationError."""
    if not address:
        return ""
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise ValidationError("That is no address.") from None
    if parts.scheme not in _SECURE | _PLAIN or not host or parts.username or parts.fragment:
        raise ValidationError("An address begins with https:// or wss://, and holds no key.")
    if parts.scheme in _PLAIN and not _is_inside(host):
        raise ValidationError("A key may travel in the clear only inside your own network: use https:// or wss://.")
    return address.rstrip("/")


def _is_inside(host: str) -> bool:
    """Say whether a host is this machine, a private address, or a bare name, as machines of one network have."""
    try:
        return ip_address(host).is_private
    except ValueError:
        return "." not in host
