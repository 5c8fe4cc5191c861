"""The console's first page: the balance, the agents, the latest calls."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.permissions import MemberRequest, member_required
from billing import ledger

_RECENT_CALLS = 8
_MOST_AGENTS = 6


@member_required
@require_safe
def overview(request: MemberRequest) -> HttpResponse:
    sessions = request.organisation.sessions.select_related("agent").filter(started_at__isnull=False)
    agents = list(request.organisation.agents.order_by("-updated_at")[: _MOST_AGENTS + 1])
    context = {
        "balance": ledger.balance_of(request.organisation.pk),
        "entries": ledger.entries_of(request.organisation.pk, limit=1),
        "agents": agents[:_MOST_AGENTS],
        "has_more_agents": len(agents) > _MOST_AGENTS,
        "sessions": sessions[:_RECENT_CALLS],
    }
    return render(request, "voice/overview.html", context)
