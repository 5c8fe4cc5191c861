"""Notes and their deliveries for the operator: state and money of every tenant; the words only by a permission."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from accounts.models import User
from billing.formatting import format_exact_credits
from config.model_admin import PAGE_ROWS, ModelAdmin, ReadOnly
from voice.models import CrmConnection, CrmDelivery, CrmDeliveryState, Note, NoteState, TranscriptAudit
from voice.notes.crm.base import PROBLEMS
from voice.notes.deliver import replay
from voice.notes.reading import label_of, text_of
from voice.notes.summarise import write_again

MAY_READ = "voice.read_transcripts"
_MAX_AT_ONCE = 100


@admin.register(Note)
class NoteAdmin(ReadOnly, ModelAdmin[Note]):
    list_display = ["created_at", "organisation", "state", "reason", "written_by", "model_slug", "cost", "charged"]
    list_filter = ["state", "reason", "written_by", "paid_by", "created_at"]
    list_select_related = ["organisation"]
    list_per_page = PAGE_ROWS
    show_full_result_count = False
    date_hierarchy = "created_at"
    search_fields = ["^id", "^session__id", "organisation__name", "=request_id"]
    search_help_text = "Note's or session's id, organisation, or the provider's request id."
    actions = ["write_again"]
    fields = [
        "organisation", "session", "state", "reason", "about", "words", "model_slug", "provider_model", "request_id",
        "tries", "answers", "paid_by", "cost", "charged", "usage", "created_at", "finished_at",
    ]  # fmt: skip
    readonly_fields = ["about", "words", "cost", "charged"]

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("voice.change_note")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [name for name in self.fields if name != "words" or _may_read(request)]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        note = self.get_object(request, object_id)
        if note is not None and _may_read(request) and note.state == NoteState.READY:
            assert isinstance(request.user, User)
            TranscriptAudit.objects.create(
                action=TranscriptAudit.Action.LOOKED,
                organisation_id=note.organisation_id,
                actor=request.user,
                session_id=note.session_id,
                counts={"note": 1},
            )
        return super().change_view(request, object_id, form_url, extra_context)

    @admin.action(description="Write again what failed", permissions=["retry"])
    def write_again(self, request: HttpRequest, queryset: QuerySet[Note]) -> None:
        failed = list(queryset.filter(state=NoteState.FAILED)[:_MAX_AT_ONCE])
        count = sum(write_again(note) for note in failed)
        self.message_user(request, f"{count} written again.", messages.SUCCESS if count else messages.WARNING)

    @admin.display(description="about it")
    def about(self, note: Note) -> str:
        return label_of(note) or "–"

    @admin.display(description="what it says (your look is written down)")
    def words(self, note: Note) -> SafeString | str:
        text = text_of(note)
        if text is None:
            return "–"
        rows = [("Summary", text.summary), *((field.label, field.value) for field in text.fields)]
        rows += [("To do", action.text) for action in text.actions]
        return format_html("<dl>{}</dl>", format_html_join("", "<dt>{}</dt><dd>{}</dd>", rows))

    @admin.display(description="cost", ordering="cost_micro")
    def cost(self, note: Note) -> str:
        return format_exact_credits(note.cost_micro)

    @admin.display(description="charged", ordering="charged_micro")
    def charged(self, note: Note) -> str:
        return format_exact_credits(note.charged_micro)


@admin.register(CrmConnection)
class CrmConnectionAdmin(ReadOnly, ModelAdmin[CrmConnection]):
    """Its secret is not shown to anybody, nor read."""

    list_display = ["name", "organisation", "kind", "is_active", "tested_at", "problem"]
    list_filter = ["kind", "is_active"]
    list_select_related = ["organisation"]
    list_per_page = PAGE_ROWS
    show_full_result_count = False
    search_fields = ["^id", "name", "organisation__name"]
    fields = ["organisation", "kind", "name", "is_active", "settings", "tested_at", "problem", "created_at"]
    readonly_fields = ["problem"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[CrmConnection]:
        return super().get_queryset(request).defer("secret")

    @admin.display(description="last test")
    def problem(self, connection: CrmConnection) -> str:
        if connection.tested_at is None:
            return "Not tested"
        return PROBLEMS.get(connection.test_problem, connection.test_problem) or "Good"


@admin.register(CrmDelivery)
class CrmDeliveryAdmin(ReadOnly, ModelAdmin[CrmDelivery]):
    list_display = ["created_at", "organisation", "connection_name", "state", "attempts", "why", "status_code"]
    list_filter = ["state", "problem", "connection__kind", "created_at"]
    list_per_page = PAGE_ROWS
    show_full_result_count = False
    date_hierarchy = "created_at"
    search_fields = ["^id", "^note__id", "^note__session__id", "=external_id", "note__organisation__name"]
    search_help_text = "Delivery's, note's or session's id, the CRM's id, or organisation."
    actions = ["send_again"]
    fields = [
        "organisation", "connection_name", "note", "state", "why", "status_code", "attempts", "replays", "contact_id",
        "external_id", "created_at", "attempted_at", "delivered_at",
    ]  # fmt: skip
    readonly_fields = ["organisation", "connection_name", "why"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[CrmDelivery]:
        found = super().get_queryset(request).select_related("connection", "note__organisation")
        return found.defer("connection__secret")

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("voice.change_crmdelivery")

    @admin.action(description="Send again what was given up", permissions=["retry"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[CrmDelivery]) -> None:
        dead = queryset.filter(state=CrmDeliveryState.DEAD).values_list("pk", flat=True)[:_MAX_AT_ONCE]
        count = sum(replay(delivery_id) for delivery_id in list(dead))
        self.message_user(request, f"{count} sent again.", messages.SUCCESS if count else messages.WARNING)

    @admin.display(description="organisation", ordering="note__organisation__name")
    def organisation(self, delivery: CrmDelivery) -> str:
        return delivery.note.organisation.name

    @admin.display(description="CRM", ordering="connection__name")
    def connection_name(self, delivery: CrmDelivery) -> str:
        return f"{delivery.connection.name} ({delivery.connection.kind})"

    @admin.display(description="problem", ordering="problem")
    def why(self, delivery: CrmDelivery) -> str:
        return PROBLEMS.get(delivery.problem, delivery.problem) or "–"


def _may_read(request: HttpRequest) -> bool:
    return request.user.has_perm(MAY_READ)
