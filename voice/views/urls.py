"""Addresses of voice's pages; people and organisations are in accounts/urls.py."""

from django.urls import include, path

from voice.views import agents, calls, landing, overview, pricing, talk

console_patterns = [
    path("", overview.overview, name="overview"),
    path("agents/", agents.agents, name="agents"),
    path("agents/new/", agents.choose_template, name="choose_template"),
    path("agents/new/<slug:template>/", agents.create, name="create_agent"),
    path("agents/<uuid:agent_id>/", agents.agent, name="agent"),
    path("agents/<uuid:agent_id>/edit/", agents.edit, name="edit_agent"),
    path("agents/<uuid:agent_id>/pause/", agents.pause, name="pause_agent"),
    path("agents/<uuid:agent_id>/resume/", agents.resume, name="resume_agent"),
    path("calls/", calls.calls, name="calls"),
    path("calls/<uuid:session_id>/", calls.call, name="call"),
]

urlpatterns = [
    path("", landing.landing, name="landing"),
    path("talk/<str:public_key>/", talk.talk, name="talk"),
    path("pricing/", pricing.pricing, name="pricing"),
    path("console/", include((console_patterns, "console"))),
]
