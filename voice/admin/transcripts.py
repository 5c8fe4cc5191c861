"""Transcripts as the operator sees them: that they are there, and until when. Words only to who may, on record."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from config.model_admin import PAGE_ROWS, ModelAdmin, ReadOnly
from voice.admin.filters import OrganisationFilter
from voice.models import Session, Transcript, TranscriptAudit
from voice.transcripts import audit
from voice.transcripts.reading import collected_fields_of, transcript_of

_READ = "voice.read_transcripts"


@admin.register(Transcript)
class TranscriptAdmin(ReadOnly, ModelAdmin[Transcript]):
    list_display = ["when", "organisation", "agent", "turn_count", "consent", "deletes", "is_redacted"]
    list_filter = [OrganisationFilter]
    list_select_related = ["organisation", "session__agent"]
    list_per_page = PAGE_ROWS
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    search_fields = ["^session__id", "=session__visitor_id", "organisation__name"]
    search_help_text = "Session's id, visitor, or organisation. Not what was said."
    change_form_template = "admin/parley/transcript.html"
    readonly_fields = ["session_link", "agent", "turn_count", "consent", "deletes", "is_redacted"]
    fieldsets = [(None, {"fields": ["organisation", *readonly_fields]})]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Transcript]:
        return super().get_queryset(request).annotate(n_turns=Count("turns"))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.read)
        read = path("of/<uuid:session_id>/read/", view, name="voice_words_read")
        return [read, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        extra = {"may_read": request.user.has_perm(_READ), **(extra_context or {})}
        return super().change_view(request, object_id, form_url, extra)

    def read(self, request: HttpRequest, session_id: UUID) -> HttpResponse:
        """Show a session's words to who may see them; that they looked is written down first."""
        if request.method != "POST" or not request.user.has_perm(_READ):
            raise PermissionDenied
        session = get_object_or_404(Session, pk=session_id)
        assert request.user.is_authenticated  # admin_view lets nobody else in
        audit.write(session, TranscriptAudit.Action.LOOKED, request.user)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "What was said",
            "session": session,
            "transcript": transcript_of(session.pk),
            "collected": collected_fields_of(session.pk),
        }
        response = TemplateResponse(request, "admin/parley/transcript_words.html", context)
        response["Cache-Control"] = "no-store"
        return response

    @admin.display(description="call of", ordering="created_at")
    def when(self, transcript: Transcript) -> SafeString:
        at = timezone.localtime(transcript.session.created_at)
        return format_html('<time datetime="{}">{}</time>', at.isoformat(), at.strftime("%d %b %H:%M"))

    @admin.display(description="agent")
    def agent(self, transcript: Transcript) -> str:
        return transcript.session.agent.name if transcript.session.agent else "–"

    @admin.display(description="session")
    def session_link(self, transcript: Transcript) -> SafeString:
        url = reverse("admin:voice_session_change", args=[transcript.session_id])
        return format_html('<a href="{}"><code>{}</code></a>', url, transcript.session_id)

    @admin.display(description="turns with words")
    def turn_count(self, transcript: Transcript) -> int:
        return int(getattr(transcript, "n_turns", 0))

    @admin.display(description="consent")
    def consent(self, transcript: Transcript) -> SafeString:
        session = transcript.session
        at = timezone.localtime(session.consent_at).strftime("%d %b %Y %H:%M:%S") if session.consent_at else "–"
        return format_html("{}<br><small><code>{}</code></small>", at, session.consent_version)

    @admin.display(description="deleted on", ordering="deletes_at")
    def deletes(self, transcript: Transcript) -> str:
        return timezone.localtime(transcript.deletes_at).strftime("%d %b %Y")

    @admin.display(description="numbers blotted out", boolean=True)
    def is_redacted(self, transcript: Transcript) -> bool:
        return transcript.redacted_at is not None


@admin.register(TranscriptAudit)
class TranscriptAuditAdmin(ReadOnly, ModelAdmin[TranscriptAudit]):
    list_display = ["created_at", "action", "organisation", "actor", "session_id", "counts"]
    list_filter = ["action", OrganisationFilter]
    list_select_related = ["organisation", "actor"]
    list_per_page = PAGE_ROWS
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    search_fields = ["=session_id", "=caller", "organisation__name", "actor__email"]
    date_hierarchy = "created_at"
