"""The operator's view of the outbox: nothing is edited, given-up work can be tried again."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from config.model_admin import PAGE_ROWS, ModelAdmin, ReadOnly
from outbox.messages import try_again
from outbox.models import OutboxMessage, OutboxState

MAY_RETRY = "outbox.change_outboxmessage"
# Each is done while the operator waits where Celery runs in this process.
MAX_TRIED_AGAIN = 100


@admin.register(OutboxMessage)
class OutboxMessageAdmin(ReadOnly, ModelAdmin[OutboxMessage]):
    list_display = ["created_at", "kind", "state", "attempts", "next_attempt_at", "error", "done_at"]
    list_filter = ["state", "kind", "created_at"]
    list_per_page = PAGE_ROWS
    show_full_result_count = False
    search_fields = ["=key", "=id"]
    search_help_text = "Key or id."
    date_hierarchy = "created_at"
    fields = ["kind", "key", "state", "attempts", "next_attempt_at", "error", "created_at", "done_at", "payload"]
    actions = ["try_again"]

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(MAY_RETRY)

    @admin.action(description="Try again what was given up", permissions=["retry"])
    def try_again(self, request: HttpRequest, queryset: QuerySet[OutboxMessage]) -> None:
        given_up = queryset.filter(state=OutboxState.GIVEN_UP).values_list("pk", flat=True)
        count = sum(try_again(message_id) for message_id in list(given_up[:MAX_TRIED_AGAIN]))
        self.message_user(request, f"{count} tried again.", messages.SUCCESS if count else messages.WARNING)
