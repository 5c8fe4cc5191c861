"""Incidents as the status page tells them, and how each part is found now, with what only an operator may know."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from config.model_admin import PAGE_ROWS, ModelAdmin, ModelForm
from voice.admin.base import log_changes
from voice.admin.fields import MomentField
from voice.models import Incident
from voice.status import now as status
from voice.status.incidents import is_going_on


class IncidentForm(ModelForm[Incident]):
    started_at = MomentField(required=True, help_text="Later than now: it is announced.")
    ended_at = MomentField(help_text="Empty: going on.")

    class Meta:
        model = Incident
        fields = ["title", "body", "model", "started_at", "ended_at", "is_public"]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        started_at, ended_at = cleaned.get("started_at"), cleaned.get("ended_at")
        if started_at and ended_at and ended_at < started_at:
            self.add_error("ended_at", "It cannot have ended before it began.")
        return cleaned


@admin.register(Incident)
class IncidentAdmin(ModelAdmin[Incident]):
    """Its list is also where an operator sees why a part is in trouble: the public page says only that it is."""

    form = IncidentForm
    change_list_template = "admin/parley/incidents.html"
    list_display = ["title", "stage", "model", "started_at", "ended_at", "is_public"]
    list_filter = ["is_public", "started_at", "model"]
    list_select_related = ["model"]
    list_per_page = PAGE_ROWS
    date_hierarchy = "started_at"
    search_fields = ["title", "body"]
    actions = ["end_now"]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"started_at": timezone.now(), **super().get_changeform_initial_data(request)}

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return super().changelist_view(request, {"status": status.look(), **(extra_context or {})})

    def save_model(self, request: HttpRequest, obj: Incident, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        status.forget()

    @admin.display(description="is")
    def stage(self, incident: Incident) -> SafeString:
        moment = timezone.now()
        if is_going_on(incident, moment):
            return format_html('<span class="tag tag-{}">{}</span>', "danger", "Going on")
        if incident.started_at > moment:
            return format_html('<span class="tag tag-{}">{}</span>', "warning", "Announced")
        return format_html('<span class="tag tag-{}">{}</span>', "quiet", "Over")

    @admin.action(description="End now", permissions=["change"])
    def end_now(self, request: HttpRequest, queryset: QuerySet[Incident]) -> None:
        moment = timezone.now()
        ending = list(queryset.filter(ended_at=None, started_at__lte=moment))
        if ending:
            Incident.objects.filter(pk__in=[incident.pk for incident in ending]).update(ended_at=moment)
            log_changes(request, ending, "Ended.")
            status.forget()
        self.message_user(request, f"{len(ending)} ended.", messages.SUCCESS if ending else messages.WARNING)
