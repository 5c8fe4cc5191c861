"""The operator's view of refills and budgets: nothing is edited, a refill can be switched off."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from billing import auto_top_up
from billing.emails import money
from billing.formatting import format_credits
from billing.models import AutoTopUp, AutoTopUpAttempt, BudgetSettings
from config.model_admin import PAGE_ROWS, ModelAdmin, ReadOnly

MAY_SWITCH_OFF = "billing.change_autotopup"


@admin.register(AutoTopUp)
class AutoTopUpAdmin(ReadOnly, ModelAdmin[AutoTopUp]):
    list_display = ["organisation", "is_on", "off_reason", "threshold", "bundle", "ceiling", "next_attempt_at"]
    list_filter = ["is_on", "off_reason", "can_charge_off_session"]
    list_select_related = ["organisation", "bundle"]
    list_per_page = PAGE_ROWS
    show_full_result_count = False
    search_fields = ["organisation__name", "=organisation__id", "=customer_id", "=payment_method_id"]
    search_help_text = "Organisation's name or id, or the payment service's id of customer or card."
    fields = [
        "organisation",
        "is_on",
        "off_reason",
        "threshold",
        "bundle",
        "ceiling",
        "card_label",
        "can_charge_off_session",
        "customer_id",
        "payment_method_id",
        "declines_in_a_row",
        "next_attempt_at",
        "created_at",
    ]
    actions = ["switch_off"]

    def has_switch_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(MAY_SWITCH_OFF)

    @admin.display(description="below", ordering="threshold_micro")
    def threshold(self, top_up: AutoTopUp) -> str:
        return format_credits(top_up.threshold_micro)

    @admin.display(description="a month at most", ordering="monthly_ceiling_minor")
    def ceiling(self, top_up: AutoTopUp) -> str:
        return money(top_up.monthly_ceiling_minor, top_up.currency) if top_up.currency else "-"

    @admin.action(description="Switch off", permissions=["switch"])
    def switch_off(self, request: HttpRequest, queryset: QuerySet[AutoTopUp]) -> None:
        count = sum(auto_top_up.switch_off(top_up.organisation_id) for top_up in queryset.filter(is_on=True))
        self.message_user(request, f"{count} switched off.", messages.SUCCESS if count else messages.WARNING)


@admin.register(AutoTopUpAttempt)
class AutoTopUpAttemptAdmin(ReadOnly, ModelAdmin[AutoTopUpAttempt]):
    list_display = ["started_at", "organisation", "state", "amount", "bundle", "failure", "ended_at"]
    list_filter = ["state", "started_at"]
    list_select_related = ["top_up__organisation", "bundle"]
    list_per_page = PAGE_ROWS
    show_full_result_count = False
    search_fields = ["top_up__organisation__name", "=top_up__organisation__id", "=id", "=purchase__id"]
    search_help_text = "Organisation's name or id, attempt's id or purchase's id."
    date_hierarchy = "started_at"
    fields = [
        "id",
        "organisation",
        "state",
        "amount",
        "credits",
        "bundle",
        "failure",
        "purchase",
        "started_at",
        "ended_at",
    ]

    @admin.display(description="organisation", ordering="top_up__organisation__name")
    def organisation(self, attempt: AutoTopUpAttempt) -> str:
        return attempt.top_up.organisation.name

    @admin.display(description="amount", ordering="amount_minor")
    def amount(self, attempt: AutoTopUpAttempt) -> str:
        return money(attempt.amount_minor, attempt.currency)

    @admin.display(description="credits", ordering="credits_micro")
    def credits(self, attempt: AutoTopUpAttempt) -> str:
        return format_credits(attempt.credits_micro)


@admin.register(BudgetSettings)
class BudgetSettingsAdmin(ReadOnly, ModelAdmin[BudgetSettings]):
    list_display = ["organisation", "told_below", "cap", "level"]
    list_select_related = ["organisation"]
    list_per_page = PAGE_ROWS
    show_full_result_count = False
    search_fields = ["organisation__name", "=organisation__id"]
    search_help_text = "Organisation's name or id."
    fields = ["organisation", "told_below", "cap", "level"]

    @admin.display(description="told below")
    def told_below(self, budget: BudgetSettings) -> str:
        return ", ".join(format_credits(threshold_micro) for threshold_micro in budget.low_balance_thresholds_micro)

    @admin.display(description="a month at most", ordering="monthly_cap_micro")
    def cap(self, budget: BudgetSettings) -> str:
        return "-" if budget.monthly_cap_micro is None else format_credits(budget.monthly_cap_micro)

    @admin.display(description="is below", ordering="low_balance_level_micro")
    def level(self, budget: BudgetSettings) -> str:
        return "-" if budget.low_balance_level_micro is None else format_credits(budget.low_balance_level_micro)
