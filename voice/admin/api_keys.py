"""Customers' keys to the API and the client secrets made with them: looked at and revoked. No page knows a secret."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from accounts.api_keys import revoke_key
from accounts.models import ApiKey
from billing.formatting import format_credits
from config.model_admin import ModelAdmin, ReadOnly
from voice.admin.base import confirmation_page, is_confirmed, log_changes
from voice.admission.key_holders import end_client_secret
from voice.catalogue.ceilings import remaining_of_secret_micro, used_of_key_micro
from voice.models import ClientSecret

_NO_LIMIT = "no limit"


class KeyState(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("usable", "Usable"), ("expired", "Expired"), ("revoked", "Revoked")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        has_expired = Q(expires_at__lte=timezone.now())
        match self.value():
            case "usable":
                return queryset.filter(revoked_at=None).exclude(has_expired)
            case "expired":
                return queryset.filter(has_expired, revoked_at=None)
            case "revoked":
                return queryset.exclude(revoked_at=None)
        return queryset


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnly, ModelAdmin[ApiKey]):
    """Keys are made by their owners, who alone see them once; an operator can only take them away."""

    list_display = ["prefix", "name", "organisation", "state", "created_at", "last_used_at", "expires_at"]
    list_filter = [KeyState, "created_at", "last_used_at"]
    list_select_related = ["organisation"]
    search_fields = ["^prefix", "name", "organisation__name", "=organisation__slug"]
    search_help_text = "The beginning of the key, its name, or the organisation."
    date_hierarchy = "created_at"
    actions = ["revoke"]
    fields = [
        ("prefix", "name"), "organisation", "state", ("created_by", "created_at"), ("last_used_at", "expires_at"),
        "revoked_at", "may", "models", ("spent", "budget"), ("requests_per_minute", "concurrent_calls"),
    ]  # fmt: skip
    readonly_fields = ["state", "may", "models", "spent", "budget"]

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.change_apikey")

    @admin.action(description="Revoke: end their calls and start none", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> HttpResponse | None:
        keys = list(queryset.filter(revoked_at=None).select_related("organisation"))
        if not keys:
            self.message_user(request, "These keys have all been revoked.", messages.WARNING)
            return None
        if not is_confirmed(request):
            return confirmation_page(
                self,
                request,
                title=f"Revoke {_counted(len(keys), 'key')}?",
                explanation="Their live calls end now, their client secrets fall with them, and nothing makes a "
                "revoked key good again: the organisation must make another.",
                button="Revoke",
                back_url=reverse("admin:accounts_apikey_changelist"),
                listed=[f"{key.organisation}: {key}" for key in keys],
                action="revoke",
                selected=keys,
            )
        for key in keys:
            revoke_key(key)
        log_changes(request, keys, "Revoked.")
        self.message_user(request, f"{_counted(len(keys), 'key')} revoked.", messages.SUCCESS)
        return None

    @admin.display(description="state", ordering="revoked_at")
    def state(self, key: ApiKey) -> str:
        if key.revoked_at:
            return "revoked"
        return "expired" if key.is_expired else "usable"

    @admin.display(description="may")
    def may(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    @admin.display(description="models")
    def models(self, key: ApiKey) -> str:
        return ", ".join(key.allowed_models) or "every model"

    @admin.display(description="credits this month")
    def spent(self, key: ApiKey) -> str:
        return format_credits(used_of_key_micro(key, timezone.now()))

    @admin.display(description="budget a month")
    def budget(self, key: ApiKey) -> str:
        return _NO_LIMIT if key.monthly_budget_micro is None else format_credits(key.monthly_budget_micro)


@admin.register(ClientSecret)
class ClientSecretAdmin(ReadOnly, ModelAdmin[ClientSecret]):
    list_display = ["id", "organisation", "api_key", "model_slug", "is_open", "created_at", "expires_at"]
    list_filter = ["created_at", "expires_at"]
    list_select_related = ["organisation", "api_key"]
    search_fields = ["^id", "^api_key__prefix", "organisation__name"]
    search_help_text = "Id, the beginning of its key, or the organisation."
    date_hierarchy = "created_at"
    actions = ["end"]
    fields = [
        "id", "organisation", "api_key", "model_slug", ("is_open", "created_at", "expires_at"), "pages",
        ("cap", "left"), "max_duration_s",
    ]  # fmt: skip
    readonly_fields = ["id", "is_open", "pages", "cap", "left"]

    def has_end_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("voice.change_clientsecret")

    @admin.action(description="End: no call can be opened with them any more", permissions=["end"])
    def end(self, request: HttpRequest, queryset: QuerySet[ClientSecret]) -> HttpResponse | None:
        secrets = list(queryset.filter(expires_at__gt=timezone.now()).select_related("organisation"))
        if not secrets:
            self.message_user(request, "These secrets have all expired.", messages.WARNING)
            return None
        if not is_confirmed(request):
            return confirmation_page(
                self,
                request,
                title=f"End {_counted(len(secrets), 'client secret')}?",
                explanation="No call can be opened with them from now on. Calls that run go on: to end those, too, "
                "revoke the key.",
                button="End",
                back_url=reverse("admin:voice_clientsecret_changelist"),
                listed=[f"{secret.organisation}: {secret}" for secret in secrets],
                action="end",
                selected=secrets,
            )
        for secret in secrets:
            end_client_secret(secret)
        log_changes(request, secrets, "Ended.")
        self.message_user(request, f"{_counted(len(secrets), 'client secret')} ended.", messages.SUCCESS)
        return None

    @admin.display(description="open", boolean=True)
    def is_open(self, secret: ClientSecret) -> bool:
        return secret.expires_at > timezone.now() and secret.api_key.is_usable

    @admin.display(description="pages that may use it")
    def pages(self, secret: ClientSecret) -> str:
        return ", ".join(secret.origins) or "any"

    @admin.display(description="credits for all its calls")
    def cap(self, secret: ClientSecret) -> str:
        return _NO_LIMIT if secret.credits_cap_micro is None else format_credits(secret.credits_cap_micro)

    @admin.display(description="left of them")
    def left(self, secret: ClientSecret) -> str:
        left_micro = remaining_of_secret_micro(secret)
        return _NO_LIMIT if left_micro is None else format_credits(left_micro)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
