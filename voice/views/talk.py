"""The public page of one agent."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from voice.models import Agent
from voice.views.call_box import call_context, is_member_of, why_closed


@require_safe
def talk(request: HttpRequest, public_key: str) -> HttpResponse:
    """Show an agent that anyone may call, or that one's own organisation may; any other is a 404."""
    agent = get_object_or_404(Agent.objects.select_related("organisation"), public_key=public_key)
    is_member = is_member_of(agent, getattr(request, "membership", None))
    if not (agent.is_public or agent.is_demo or is_member):
        raise Http404
    context = {
        "agent": agent,
        "call": call_context(agent, is_member=is_member),
        "closed": why_closed(agent),
    }
    return render(request, "voice/talk.html", context)
