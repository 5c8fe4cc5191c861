"""The admin's audit page: what the last recomputation found, what is stuck now, and a button for another one."""

from datetime import datetime, timedelta
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone

from billing import audit_runs, margin
from billing.audit import stale_holds
from billing.models import RefusedDelivery, StripeEvent, StripeEventState, Wallet
from config.model_admin import ModelAdmin

STALE_HOLDS_SHOWN = 50
EVENTS_SHOWN = 50
# An event that waits longer than this has been passed over by ten sweeps.
OVERDUE_AFTER = timedelta(minutes=5)
# What was refused stays in the list of events; here it would hide newer ones.
REFUSED_SHOWN_FOR = timedelta(days=30)
DELIVERIES_SHOWN_FOR = timedelta(days=7)


class AuditPages(ModelAdmin[Wallet]):
    """Adds the page and its button to the wallets' admin."""

    def get_urls(self) -> list[URLPattern]:
        site = self.admin_site
        own = [
            path("audit/", site.admin_view(self.audit_view), name="billing_wallet_audit"),
            path("audit/run/", site.admin_view(self.run_audit_view), name="billing_wallet_run_audit"),
        ]
        return [*own, *super().get_urls()]

    def run_audit_view(self, request: HttpRequest) -> HttpResponse:
        """Hand a recomputation to a worker, which may take minutes where the books are long."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        audit_runs.ask_for_audit(request.user.get_username())
        self.message_user(request, "A worker recomputes the books. Look again in a moment.", messages.SUCCESS)
        return redirect("admin:billing_wallet_audit")

    def audit_view(self, request: HttpRequest) -> HttpResponse:
        """Show the last audit, and now's stale holds and unmatched events; nothing is recomputed."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        now = timezone.now()
        overdue, unmatched = stale_holds(now).select_related("wallet__organisation"), unmatched_events(now)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Audit",
            "under_way": audit_runs.under_way(now),
            "stale_holds": overdue[:STALE_HOLDS_SHOWN],
            "stale_count": overdue.count(),
            "events": unmatched[:EVENTS_SHOWN],
            "event_count": unmatched.count(),
            "deliveries": RefusedDelivery.objects.filter(day__gt=(now - DELIVERIES_SHOWN_FOR).date()),
            **_last_run(),
        }
        return TemplateResponse(request, "admin/billing/wallet/audit.html", context)


def unmatched_events(now: datetime) -> QuerySet[StripeEvent]:
    """Events that moved no money though they should have: failed, not handled in time, or about nothing we sold."""
    failed = Q(state=StripeEventState.FAILED)
    late = Q(state=StripeEventState.RECEIVED, received_at__lt=now - OVERDUE_AFTER)
    refused = Q(state=StripeEventState.REFUSED, received_at__gt=now - REFUSED_SHOWN_FOR)
    return StripeEvent.objects.filter(failed | late | refused).defer("payload")


def _last_run() -> dict[str, Any]:
    run = audit_runs.last_finished()
    if run is None:
        return {"run": None}
    rows = audit_runs.margins_of(run)
    return {"run": run, "margins": rows, "margin_total": margin.total("All", rows)}
