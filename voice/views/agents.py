"""The console's pages about agents."""

from uuid import UUID

from django.contrib import messages
from django.db.models import Count
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.emails import public_link
from accounts.permissions import MemberRequest, admin_required, member_required
from voice.agents import MOST_AGENTS, TEMPLATES, TooManyAgents, change_agent, create_agent, pause_agent, resume_agent
from voice.models import Agent
from voice.views.agent_form import AgentForm
from voice.views.call_box import call_context, model_note, why_closed

_RECENT_CALLS = 5


@member_required
@require_safe
def agents(request: MemberRequest) -> HttpResponse:
    found = request.organisation.agents.annotate(calls=Count("sessions")).order_by("name", "created_at")
    return render(request, "voice/agents.html", {"agents": found})


@admin_required
@require_safe
def choose_template(request: MemberRequest) -> HttpResponse:
    return render(request, "voice/choose_template.html", {"templates": TEMPLATES.values()})


@admin_required
@require_http_methods(["GET", "POST"])
def create(request: MemberRequest, template: str) -> HttpResponse:
    chosen = TEMPLATES.get(template)
    if chosen is None:
        raise Http404
    form = AgentForm(request.POST or None, instance=Agent(**chosen.draft(request.organisation.name)))
    if request.method == "POST" and form.is_valid():
        try:
            made = create_agent(request.organisation, {**form.agent_fields, "template": chosen.kind})
        except TooManyAgents:
            form.add_error(None, f"An organisation may have {MOST_AGENTS} agents. Change one that you do not need.")
        else:
            messages.success(request, f"{made.name} is ready. Talk to it right here.")
            return redirect("console:agent", made.pk)
    context = {"form": form, "template": chosen}
    return render(request, "voice/agent_form.html", context, status=422 if form.errors else 200)


@member_required
@require_safe
def agent(request: MemberRequest, agent_id: UUID) -> HttpResponse:
    found = _agent_of(request, agent_id)
    context = {
        "agent": found,
        "call": call_context(found, is_member=True),
        "closed": why_closed(found),
        "model_note": model_note(found),
        "talk_link": public_link("talk", found.public_key),
        "sessions": found.sessions.filter(started_at__isnull=False)[:_RECENT_CALLS],
    }
    return render(request, "voice/agent.html", context)


@admin_required
@require_http_methods(["GET", "POST"])
def edit(request: MemberRequest, agent_id: UUID) -> HttpResponse:
    found = _agent_of(request, agent_id)
    form = AgentForm(request.POST or None, instance=found)
    if request.method == "POST" and form.is_valid():
        change_agent(found, form.agent_fields)
        messages.success(request, "Saved. The next call uses it.")
        return redirect("console:agent", found.pk)
    # The name as it is stored, whatever the form was given.
    context = {"form": form, "agent": _agent_of(request, agent_id)}
    return render(request, "voice/agent_form.html", context, status=422 if form.errors else 200)


@admin_required
@require_POST
def pause(request: MemberRequest, agent_id: UUID) -> HttpResponse:
    found = _agent_of(request, agent_id)
    pause_agent(found)
    messages.success(request, f"{found.name} takes no new calls.")
    return redirect("console:agent", found.pk)


@admin_required
@require_POST
def resume(request: MemberRequest, agent_id: UUID) -> HttpResponse:
    found = _agent_of(request, agent_id)
    resume_agent(found)
    messages.success(request, f"{found.name} takes calls again.")
    return redirect("console:agent", found.pk)


def _agent_of(request: MemberRequest, agent_id: UUID) -> Agent:
    return get_object_or_404(request.organisation.agents.select_related("organisation"), pk=agent_id)
