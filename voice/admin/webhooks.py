"""Webhooks and tools for the operator: where they go and whether they arrive; neither secrets nor what was sent."""

from typing import Any
from urllib.parse import urlsplit

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from config.model_admin import PAGE_ROWS, ModelAdmin, ReadOnly, TabularInline
from voice.models import AgentTool, DisabledBecause, WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookState
from voice.webhooks import endpoints
from voice.webhooks.delivery import replay

_MAX_AT_ONCE = 100
# Whoever may change an endpoint may switch it, and whoever may change a delivery may have it made again.
_MAY_SWITCH = "voice.change_webhookendpoint"
_MAY_REPLAY = "voice.change_webhookdelivery"


def _host_of(url: str) -> str:
    """Only where it goes: customers put keys into paths and queries."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}" if parts.hostname else "–"


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ReadOnly, ModelAdmin[WebhookEndpoint]):
    list_display = ["host", "organisation", "is_active", "disabled_because", "failing_since", "failures", "created_at"]
    list_filter = ["is_active", "disabled_because", "created_at"]
    list_select_related = ["organisation"]
    list_per_page = PAGE_ROWS
    show_full_result_count = False
    search_fields = ["^id", "organisation__name"]
    search_help_text = "Endpoint's id, or organisation."
    actions = ["switch_off", "switch_on"]
    fields = [
        "organisation", "host", "for_sessions", "event_types", "is_active", "disabled_at", "disabled_because",
        "failing_since", "failures", "not_before", "old_secret_until", "created_at",
    ]  # fmt: skip
    readonly_fields = ["host"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookEndpoint]:
        # Never read here: with the wrong keys the list would not open at all.
        return super().get_queryset(request).defer("secret", "old_secret")

    def has_switch_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(_MAY_SWITCH)

    @admin.display(description="to", ordering="url")
    def host(self, endpoint: WebhookEndpoint) -> str:
        return "calls' own addresses" if endpoint.for_sessions else _host_of(endpoint.url)

    @admin.action(description="Switch off: send nothing there", permissions=["switch"])
    def switch_off(self, request: HttpRequest, queryset: QuerySet[WebhookEndpoint]) -> None:
        count = sum(endpoints.switch_off(endpoint, DisabledBecause.PAUSED) for endpoint in queryset[:_MAX_AT_ONCE])
        self._say(request, count, "switched off")

    @admin.action(description="Switch on, with a clean record", permissions=["switch"])
    def switch_on(self, request: HttpRequest, queryset: QuerySet[WebhookEndpoint]) -> None:
        off = list(queryset.filter(is_active=False)[:_MAX_AT_ONCE])
        for endpoint in off:
            endpoints.switch_on(endpoint)
        self._say(request, len(off), "switched on")

    def _say(self, request: HttpRequest, count: int, what: str) -> None:
        self.message_user(request, f"{count} {what}.", messages.SUCCESS if count else messages.WARNING)


class AttemptInline(ReadOnly, TabularInline[WebhookAttempt, WebhookDelivery]):
    model = WebhookAttempt
    fields = ["made_at", "round", "status", "error", "duration_ms"]
    extra = 0
    can_delete = False


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnly, ModelAdmin[WebhookDelivery]):
    list_display = ["created_at", "organisation", "event_type", "to", "state", "rounds", "next_attempt_at"]
    list_filter = ["state", "event_type", "created_at"]
    list_select_related = ["organisation", "endpoint"]
    list_per_page = PAGE_ROWS
    show_full_result_count = False
    date_hierarchy = "created_at"
    search_fields = ["^id", "organisation__name", "=key", "=data__session_id"]
    search_help_text = "Delivery's or session's id, organisation, or key."
    actions = ["replay"]
    inlines = [AttemptInline]
    fields = [
        "organisation", "to", "event_type", "message_id", "state", "rounds", "round_began_at",
        "next_attempt_at", "created_at", "delivered_at",
    ]  # fmt: skip
    readonly_fields = ["to", "message_id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookDelivery]:
        deliveries = super().get_queryset(request).select_related("endpoint")
        return deliveries.defer("endpoint__secret", "endpoint__old_secret")

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(_MAY_REPLAY)

    @admin.display(description="to")
    def to(self, delivery: WebhookDelivery) -> str:
        return _host_of(delivery.target)

    @admin.action(description="Send again", permissions=["replay"])
    def replay(self, request: HttpRequest, queryset: QuerySet[WebhookDelivery]) -> None:
        over = queryset.exclude(state=WebhookState.PENDING).order_by("created_at").values_list("pk", flat=True)
        count = sum(replay(delivery_id) for delivery_id in list(over[:_MAX_AT_ONCE]))
        self.message_user(request, f"{count} sent again.", messages.SUCCESS if count else messages.WARNING)


@admin.register(AgentTool)
class AgentToolAdmin(ReadOnly, ModelAdmin[AgentTool]):
    list_display = ["name", "organisation", "agent", "host", "timeout_ms", "is_active", "updated_at"]
    list_filter = ["is_active", "updated_at"]
    list_select_related = ["agent__organisation"]
    list_per_page = PAGE_ROWS
    show_full_result_count = False
    search_fields = ["^id", "name", "agent__name", "agent__organisation__name"]
    search_help_text = "Tool's id or name, agent, or organisation."
    fields = [
        "agent", "name", "description", "parameters", "host", "secret_header", "timeout_ms", "filler", "is_active",
        "created_at", "updated_at",
    ]  # fmt: skip
    readonly_fields = ["host"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[AgentTool]:
        # Never read here: with the wrong keys the list would not open at all.
        return super().get_queryset(request).defer("secret")

    @admin.display(description="to", ordering="url")
    def host(self, tool: AgentTool) -> str:
        return _host_of(tool.url)

    @admin.display(description="organisation", ordering="agent__organisation__name")
    def organisation(self, tool: AgentTool) -> Any:
        return tool.agent.organisation
