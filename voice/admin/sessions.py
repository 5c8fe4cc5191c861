"""Sessions as the operator sees them: what they cost and how they ended, and a way to end a live one. No words."""

import json
from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from accounts.client_ip import client_ip_of
from accounts.models import User
from billing import ledger
from billing.exceptions import HoldNotFound
from billing.formatting import format_credits, format_exact_credits
from config.model_admin import PAGE_ROWS, ModelAdmin, ReadOnly, TabularInline
from voice.admin.base import confirmation_page, is_confirmed, log_changes
from voice.admin.filters import AgentFilter, CostFilter, ModelServedFilter, OrganisationFilter
from voice.admin.networks import BlockForm, includes, network_to_block
from voice.admission.networks import block
from voice.catalogue.left_because import left_because
from voice.models import Rung, Session, SessionState, Turn, UsageRecord
from voice.sessions.orders import control

_NOTHING = "–"


class TurnInline(ReadOnly, TabularInline[Turn, Session]):
    model = Turn
    extra = 0
    fields = readonly_fields = ("speaker", "began", "lasted", "waited", "was_heard", "was_interrupted")
    classes = ["only-shown"]

    @admin.display(description="began")
    def began(self, turn: Turn) -> str:
        return _clock(turn.started_ms)

    @admin.display(description="length")
    def lasted(self, turn: Turn) -> str:
        return _seconds(turn.ended_ms - turn.started_ms)

    @admin.display(description="caller waited")
    def waited(self, turn: Turn) -> str:
        return _NOTHING if turn.latency_ms is None else f"{turn.latency_ms} ms"

    @admin.display(description="heard")
    def was_heard(self, turn: Turn) -> str:
        return _NOTHING if turn.heard_ms is None else _seconds(turn.heard_ms)

    @admin.display(description="interrupted")
    def was_interrupted(self, turn: Turn) -> str:
        return "Yes" if turn.interrupted else _NOTHING


class RungInline(ReadOnly, TabularInline[Rung, Session]):
    model = Rung
    extra = 0
    fields = readonly_fields = ("model_slug", "kind", "why", "began", "waited")
    classes = ["only-shown"]
    verbose_name_plural = "Who answered"

    @admin.display(description="what ended the one before")
    def why(self, rung: Rung) -> str | SafeString:
        if not rung.reason:
            return _NOTHING
        # The code beside the words: it is what logs and metrics say.
        return format_html('{} <span class="quiet">{}</span>', left_because(rung.reason), rung.reason)

    @admin.display(description="from")
    def began(self, rung: Rung) -> str:
        return _clock(rung.at_ms)

    @admin.display(description="caller waited")
    def waited(self, rung: Rung) -> str:
        return _NOTHING if rung.waited_ms is None else _seconds(rung.waited_ms)


class UsageInline(ReadOnly, TabularInline[UsageRecord, Session]):
    model = UsageRecord
    extra = 0
    fields = readonly_fields = ("measured", "model_slug", "priced_lines", "amount", "uncollected", "reported")
    classes = ["only-shown"]
    verbose_name_plural = "Usage"

    @admin.display(description="measured")
    def measured(self, record: UsageRecord) -> SafeString:
        label = record.get_source_display()
        at = timezone.localtime(record.created_at).strftime("%H:%M:%S")
        if not record.is_estimated:
            return format_html("{}<br><small>{}</small>", label, at)
        return format_html('{}<br><small>{}</small><br><span class="tag tag-warning">Estimated</span>', label, at)

    @admin.display(description="lines, in credits")
    def priced_lines(self, record: UsageRecord) -> SafeString:
        lines = [line for line in record.lines if isinstance(line, dict)]
        rows = format_html_join(
            "",
            '<tr><td>{}</td><td class="number">{}</td><td class="number">{}</td></tr>',
            (
                (_kind(line), f"{int(line['quantity']):,}", format_exact_credits(int(line["amount_micro"])))
                for line in lines
            ),
        )
        difference_micro = record.amount_micro - sum(int(line["amount_micro"]) for line in lines)
        table = format_html('<table class="lines"><tbody>{}</tbody></table>', rows)
        if not difference_micro:
            return table
        text = f"The lines differ from the amount by {format_exact_credits(difference_micro)}."
        return format_html('{}<span class="tag tag-danger">{}</span>', table, text)

    @admin.display(description="amount")
    def amount(self, record: UsageRecord) -> str:
        return format_exact_credits(record.amount_micro)

    @admin.display(description="uncollected")
    def uncollected(self, record: UsageRecord) -> str:
        return format_exact_credits(record.uncollected_micro) if record.uncollected_micro else _NOTHING

    @admin.display(description="as reported")
    def reported(self, record: UsageRecord) -> SafeString:
        text = json.dumps(record.usage, indent=1)[:4000]
        return format_html(
            "<details><summary>Report</summary><code>{}</code><pre>{}</pre></details>", record.upstream_id, text
        )


@admin.register(Session)
class SessionAdmin(ReadOnly, ModelAdmin[Session]):
    list_display = [
        "when", "organisation", "agent", "status", "duration", "cost", "uncollected", "answered_by", "rating",
    ]  # fmt: skip
    list_filter = [
        "state", OrganisationFilter, AgentFilter, "end_reason", "outcome", "stars", CostFilter, ModelServedFilter,
    ]  # fmt: skip
    list_select_related = ["organisation", "agent"]
    list_per_page = PAGE_ROWS
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    date_hierarchy = "created_at"
    ordering = ["-created_at"]
    search_fields = ["^id", "^client_ip", "=visitor_id", "organisation__name"]
    search_help_text = "Id, caller's address, visitor, or organisation."
    actions = ["hang_up", "block_network"]
    inlines = [RungInline, TurnInline, UsageInline]
    change_list_template = "admin/parley/session_list.html"
    change_form_template = "admin/parley/session.html"
    fieldsets = [
        (None, {"fields": [("organisation", "agent"), ("status", "outcome", "task_completed")]}),
        ("Cost", {"fields": [("cost", "uncollected", "spend_cap"), "settlement"]}),
        ("Model", {"fields": [("model_asked", "model_served"), "model_reason", ("medium", "language")]}),
        ("When", {"fields": [("created_at", "started_at", "ended_at"), ("duration", "seen_at")]}),
        ("Caller", {"fields": [("client_ip", "visitor_id", "is_member"), ("rating", "has_comment")]}),
    ]
    readonly_fields = [
        "status",
        "cost",
        "uncollected",
        "settlement",
        "spend_cap",
        "duration",
        "medium",
        "rating",
        "has_comment",
    ]

    def has_hang_up_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("voice.change_session")

    def has_block_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("voice.add_blockednetwork")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        extra = {
            "may_hang_up": self.has_hang_up_permission(request),
            "may_block": self.has_block_permission(request),
            "live": SessionState.LIVE,
        }
        return super().change_view(request, object_id, form_url, {**extra, **(extra_context or {})})

    @admin.action(description="Hang up", permissions=["hang_up"])
    def hang_up(self, request: HttpRequest, queryset: QuerySet[Session]) -> HttpResponse | None:
        live = list(queryset.filter(state=SessionState.LIVE))
        if not live:
            self.message_user(request, "None of these calls is live any more.", messages.WARNING)
            return None
        if not is_confirmed(request):
            return confirmation_page(
                self,
                request,
                title=f"Hang up {_calls(len(live))}?",
                explanation="The caller is told that the call was ended, and what was used is charged. "
                "Nothing keeps them from calling again.",
                button="Hang up",
                back_url=_list_url(),
                listed=[
                    f"{session.organisation}: {session.agent or 'no agent'}, {_duration(session)}" for session in live
                ],
                action="hang_up",
                selected=live,
            )
        for session in live:
            control.end_call(session.pk)
        log_changes(request, live, "Hung up.")
        self.message_user(request, f"{_calls(len(live))} told to end.", messages.SUCCESS)
        return None

    @admin.action(description="Block the caller's network", permissions=["block"])
    def block_network(self, request: HttpRequest, queryset: QuerySet[Session]) -> HttpResponse | None:
        sessions = list(queryset.exclude(client_ip=None))
        networks = sorted({network_to_block(str(session.client_ip)) for session in sessions})
        if not networks:
            self.message_user(request, "No address of these callers is kept any more.", messages.WARNING)
            return None
        form = BlockForm(request.POST if is_confirmed(request) else None)
        if not form.is_valid():
            own = any(includes(network, client_ip_of(request)) for network in networks)
            return confirmation_page(
                self,
                request,
                title=f"Block {len(networks)} network{'' if len(networks) == 1 else 's'}?",
                explanation="No call can start from there, and live ones from there end now, for every organisation.",
                button="Block",
                back_url=_list_url(),
                listed=networks,
                warning="You are in one of these networks yourself." if own else "",
                form=form,
                action="block_network",
                selected=sessions,
            )
        actor = request.user if isinstance(request.user, User) else None
        for network in networks:
            block(network, reason=form.cleaned_data["reason"], expires_at=form.expires_at(), actor=actor)
        log_changes(request, sessions, "Blocked the caller's network.")
        self.message_user(request, f"Blocked: {', '.join(networks)}.", messages.SUCCESS)
        return None

    @admin.display(description="when", ordering="created_at")
    def when(self, session: Session) -> SafeString:
        at = timezone.localtime(session.created_at)
        return format_html('<time datetime="{}">{}</time>', at.isoformat(), at.strftime("%d %b %H:%M"))

    @admin.display(description="state", ordering="state")
    def status(self, session: Session) -> SafeString | str:
        """How it ended, or that it has not."""
        if session.state == SessionState.ENDED:
            return session.get_end_reason_display() or session.get_state_display()
        tag = "good" if session.state == SessionState.LIVE else "warning"
        return format_html('<span class="tag tag-{}">{}</span>', tag, session.get_state_display())

    @admin.display(description="length", ordering="duration_ms")
    def duration(self, session: Session) -> str:
        return _duration(session)

    @admin.display(description="credits", ordering="captured_micro")
    def cost(self, session: Session) -> str:
        return format_credits(session.captured_micro)

    @admin.display(description="uncollected", ordering="uncollected_micro")
    def uncollected(self, session: Session) -> SafeString | str:
        if not session.uncollected_micro:
            return _NOTHING
        return format_html('<span class="danger">{}</span>', format_credits(session.uncollected_micro))

    @admin.display(description="most it may cost")
    def spend_cap(self, session: Session) -> str:
        if session.spend_cap_micro is None:
            return "What the wallet allows"
        return f"{format_credits(session.spend_cap_micro)} credits"

    @admin.display(description="model", ordering="model_served")
    def answered_by(self, session: Session) -> SafeString | str:
        if session.model_asked == session.model_served:
            return session.model_served
        return format_html("{}<br><small>for {}</small>", session.model_served, session.model_asked)

    @admin.display(description="spoken or typed")
    def medium(self, session: Session) -> str:
        return "Spoken" if session.is_voice else "Typed from the start"

    @admin.display(description="stars", ordering="stars")
    def rating(self, session: Session) -> SafeString | str:
        if session.stars is None:
            return _NOTHING
        drawn = "★" * session.stars + "☆" * (5 - session.stars)
        return format_html('<span class="stars" role="img" aria-label="{} of 5 stars">{}</span>', session.stars, drawn)

    @admin.display(description="comment", boolean=True)
    def has_comment(self, session: Session) -> bool:
        """Whether the caller wrote one: its words are read with the others, on record (admin/transcripts.py)."""
        return bool(session.comment)

    @admin.display(description="settlement")
    def settlement(self, session: Session) -> SafeString:
        """Whether the three places that know what the call cost agree."""
        if session.hold_id is None:
            return format_html('<span class="tag tag-quiet">{}</span>', "No credits were held")
        try:
            hold = ledger.hold_state(session.hold_id)
        except HoldNotFound:
            return format_html('<span class="tag tag-danger">{}</span>', "Its hold does not exist")
        usage = session.usage_records.aggregate(captured=Sum("captured_micro"), uncollected=Sum("uncollected_micro"))
        measured = (usage["captured"] or 0, usage["uncollected"] or 0)
        agrees = measured == (hold.captured_micro, hold.uncollected_micro)
        text = f"Hold {hold.status}: {format_exact_credits(hold.captured_micro)} captured of "
        text += f"{format_credits(hold.amount_micro)} held; usage adds up to {format_exact_credits(measured[0])}."
        tag, verdict = ("good", "Agrees") if agrees else ("danger", "Differs")
        if hold.status == "open":
            tag, verdict = ("warning", "Not settled yet") if session.ended_at else ("quiet", "Running")
        return format_html('<span class="tag tag-{}">{}</span> {}', tag, verdict, text)


def _list_url() -> str:
    return reverse("admin:voice_session_changelist")


def _calls(count: int) -> str:
    return "1 call" if count == 1 else f"{count} calls"


def _kind(line: dict[str, Any]) -> str:
    return str(line["kind"]).replace("_", " ")


def _duration(session: Session) -> str:
    if session.state == SessionState.LIVE and session.started_at:
        return f"{_clock((timezone.now() - session.started_at) // timedelta(milliseconds=1))} so far"
    return _clock(session.duration_ms) if session.ended_at else "–"


def _clock(duration_ms: int) -> str:
    """`3:07`, or `1:02:45` from an hour on."""
    minutes, seconds = divmod(max(0, duration_ms) // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _seconds(duration_ms: int) -> str:
    return f"{max(0, duration_ms) // 1000}.{max(0, duration_ms) % 1000 // 100} s"
