"""The front page: what this is, and a call to the demo agent."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from voice.models import Agent
from voice.views.call_box import Closed, call_context, why_closed

_NO_DEMO = Closed("no_demo", "There is no demo yet", "Whoever runs this server can make one with manage.py seed.")
_USED_UP = Closed(
    "no_credits",
    "The demo's credits are used up",
    "So many people have talked to it. Sign up to make an agent of your own.",
)


@require_safe
def landing(request: HttpRequest) -> HttpResponse:
    agent = Agent.objects.select_related("organisation").filter(is_demo=True).first()
    closed = why_closed(agent) if agent else _NO_DEMO
    if closed is not None and closed.code == _USED_UP.code:
        closed = _USED_UP
    call = call_context(agent, is_member=False) if agent else None
    return render(request, "voice/landing.html", {"call": call, "closed": closed})
