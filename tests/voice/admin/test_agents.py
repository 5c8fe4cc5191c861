"""Agents in the operator's tool: what is typed is checked, and pausing is one click."""

import json

import pytest

from tests.factories import make_agent
from voice.models import Agent

AGENTS = "/admin/voice/agent/"


@pytest.fixture
def agent(cast, catalogue):
    return make_agent(cast.organisation)


def save(desk, agent, **changes):
    """Save the agent's form as it stands, with changes; return the errors of its fields."""
    url = f"{AGENTS}{agent.pk}/change/"
    form = desk.get(url).context["adminform"].form
    values = {name: form[name].value() for name in form.fields}
    data = {name: value for name, value in values.items() if value not in (None, False)}
    response = desk.post(url, {**data, **changes})
    return {} if response.status_code == 302 else dict(response.context["adminform"].form.errors)


def test_an_agent_is_saved_as_it_stands(desk, agent):
    before = Agent.objects.values().get()

    assert save(desk, agent) == {}

    after = Agent.objects.values().get()
    assert {**after, "updated_at": None} == {**before, "updated_at": None}


def test_the_daily_ceiling_is_edited_in_credits(desk, agent):
    save(desk, agent, daily_ceiling_micro="12.000001")

    agent.refresh_from_db()
    assert agent.daily_ceiling_micro == 12_000_001


@pytest.mark.parametrize("ceiling", ["-1", "1.0000001", "NaN", "1e30"])
def test_a_ceiling_that_is_no_amount_is_refused(desk, agent, ceiling):
    assert "daily_ceiling_micro" in save(desk, agent, daily_ceiling_micro=ceiling)


def test_origins_are_kept_as_browsers_send_them(desk, agent):
    save(desk, agent, allowed_origins="https://WWW.example.com:443/\n\nhttp://localhost:3000\n")

    agent.refresh_from_db()
    assert agent.allowed_origins == ["https://www.example.com", "http://localhost:3000"]


@pytest.mark.parametrize("origin", ["example.com", "https://example.com/page", "javascript:alert(1)", "https://"])
def test_what_is_no_origin_is_refused(desk, agent, origin):
    assert "allowed_origins" in save(desk, agent, allowed_origins=origin)


@pytest.mark.parametrize(
    "collects",
    [
        "not json",
        '{"name": "time"}',
        '["time"]',
        '[{"name": "Time of day"}]',
        '[{"name": "time", "secret": "x"}]',
        '[{"name": "time", "description": 5}]',
        '[{"name": "time"}, {"name": "time"}]',
        json.dumps([{"name": f"field_{number}"} for number in range(13)]),
        json.dumps([{"name": "time", "description": "x" * 201}]),
    ],
)
def test_what_an_agent_cannot_collect_is_refused(desk, agent, collects):
    assert "collects" in save(desk, agent, collects=collects)


def test_what_an_agent_collects_always_has_a_description(desk, agent):
    save(desk, agent, collects='[{"name": "time"}]')

    agent.refresh_from_db()
    assert agent.collects == [{"name": "time", "description": ""}]


def test_a_task_without_anything_to_collect_is_refused(desk, agent):
    assert "__all__" in save(desk, agent, collects="[]")


def test_a_task_cannot_hide_a_tool_that_every_assistant_has(desk, agent):
    assert "task_name" in save(desk, agent, task_name="end_call")


@pytest.mark.parametrize("slug", ["gpt-9", "gpt-4.1"])
def test_an_agent_needs_a_realtime_model_of_the_catalogue(desk, agent, slug):
    assert "model_slug" in save(desk, agent, model_slug=slug)


@pytest.mark.parametrize(
    ("field", "value"), [("max_duration_s", 29), ("max_duration_s", 3601), ("silence_timeout_s", 4)]
)
def test_a_call_is_neither_endless_nor_over_at_once(desk, agent, field, value):
    assert field in save(desk, agent, **{field: value})


def test_agents_are_paused_and_activated_together(desk, agent):
    selected = {"_selected_action": [agent.pk, make_agent(agent.organisation).pk]}

    desk.post(AGENTS, {"action": "pause", **selected})
    paused = set(Agent.objects.values_list("is_active", flat=True))
    desk.post(AGENTS, {"action": "activate", **selected})

    assert paused == {False}
    assert set(Agent.objects.values_list("is_active", flat=True)) == {True}


def test_an_agent_is_found_by_its_name_its_organisation_and_its_key(desk, cast, agent):
    make_agent(cast.other_organisation, name="Other")

    for text in (agent.name, cast.organisation.name, agent.public_key, str(agent.pk)):
        assert list(desk.get(AGENTS, {"q": text}).context["cl"].queryset) == [agent]
