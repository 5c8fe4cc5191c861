"""The banner above a call: what is away, what answers instead, until when, in the agent's language."""

from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.template.loader import render_to_string
from django.utils import timezone

from voice.catalogue import breaker
from voice.models import CatalogueModel, ModelOverride
from voice.status.banner import banner_for, moment_in_words

MODEL = "gpt-realtime-mini"


@pytest.fixture
def key(settings):
    settings.OPENAI_API_KEY = "sk-test"


def change(slug, **fields):
    CatalogueModel.objects.filter(slug=slug).update(**fields)


def test_while_all_is_well_there_is_none(agent, key):
    assert banner_for(agent) is None


def test_an_installation_without_a_key_misses_nothing(agent):
    assert banner_for(agent) is None


def test_under_maintenance_it_names_what_answers_instead_and_until_when(agent, key):
    change(MODEL, status="maintenance", status_note="New phones.", expected_back_at=timezone.now() + timedelta(days=3))
    banner = banner_for(agent)
    assert banner.sentence.startswith("GPT Realtime mini is under maintenance until about ")
    assert banner.sentence.endswith(" UTC. GPT Realtime 2.1 mini answers instead.")
    assert (banner.severity, banner.offers_text, banner.note) == ("warning", True, "New phones.")


def test_a_time_that_has_passed_is_promised_no_longer(agent, key):
    change(MODEL, status="maintenance", expected_back_at=timezone.now() - timedelta(minutes=1))
    assert (
        banner_for(agent).sentence == "GPT Realtime mini is under maintenance. GPT Realtime 2.1 mini answers instead."
    )


def test_it_is_in_the_agents_language_unless_the_page_has_another(agent, key):
    change(MODEL, status="maintenance")
    agent.language = "hi-IN"
    assert banner_for(agent).sentence.startswith("GPT Realtime mini का रखरखाव")
    assert banner_for(agent, "en").sentence.startswith("GPT Realtime mini is under maintenance")


def test_a_model_that_is_gone_for_good_is_not_missed(agent, key):
    change(MODEL, status="retired", shutdown_on=timezone.localdate())
    assert banner_for(agent) is None


def test_a_successor_that_is_away_is_missed_instead_of_the_model_that_is_gone(agent, key):
    change(MODEL, status="retired")
    change("gpt-realtime-2.1-mini", status="maintenance")
    assert banner_for(agent).sentence.startswith("GPT Realtime 2.1 mini is under maintenance. Parley's own model")


def test_what_has_no_key_here_is_missed_by_nobody(agent):
    change("gpt-realtime-2.1-mini", status="maintenance")
    assert banner_for(agent) is None


def test_without_a_voice_it_offers_to_type(agent):
    change("parley-embedded", status="maintenance", expected_back_at=timezone.now() + timedelta(days=3))
    banner = banner_for(agent)
    assert banner.sentence.startswith("Voice calls are not possible until about ")
    assert banner.sentence.endswith("You can type instead.")
    assert (banner.offers_text, banner.offers_voice) == (True, False)


def test_without_voice_and_text_it_says_so(agent):
    change("parley-embedded", status="maintenance")
    change("parley-receptionist", status="maintenance")
    banner = banner_for(agent)
    assert (banner.severity, banner.offers_text, banner.offers_voice) == ("danger", False, False)
    assert banner.sentence == "Neither voice calls nor text chat are possible at the moment. Please try again later."


def test_an_organisations_own_status_counts_before_everybodys(agent, key):
    model = CatalogueModel.objects.get(slug=MODEL)
    override = ModelOverride.objects.create(organisation=agent.organisation, model=model, status="maintenance")
    assert banner_for(agent).sentence.startswith("GPT Realtime mini is under maintenance.")
    assert banner_for(None) is None
    change(MODEL, status="maintenance")
    override.status = "available"
    override.save()
    assert banner_for(agent) is None
    assert banner_for(None) is not None


def test_a_model_that_does_not_answer_is_said_to(agent, key):
    for _ in range(settings.BREAKER_FAILURES):
        breaker.failed(MODEL, "upstream_dropped")
    banner = banner_for(agent)
    assert banner.sentence == "GPT Realtime mini is not answering at the moment. GPT Realtime 2.1 mini answers instead."
    assert (banner.severity, banner.offers_text, banner.offers_voice) == ("info", True, True)
    breaker.answered(MODEL)
    assert banner_for(agent) is None


def test_without_an_agent_it_is_about_the_model_that_new_agents_have(catalogue, key):
    change(MODEL, status="maintenance")
    assert banner_for(None).sentence.startswith("GPT Realtime mini is under maintenance.")


def test_an_unknown_model_has_no_banner(agent):
    agent.model_slug = "nonsense"
    assert banner_for(agent) is None


def test_the_operators_words_are_escaped(agent, key):
    change(MODEL, status="maintenance", status_note="<script>alert(1)</script>", name="<b>Mini</b>")
    html = render_to_string("voice/_status_banner.html", {"banner": banner_for(agent)})
    assert "<script>" not in html and "<b>" not in html
    assert 'data-part="status-banner" data-offers-text="true"' in html


def test_without_a_banner_nothing_is_drawn():
    assert "data-part" not in render_to_string("voice/_status_banner.html", {"banner": None})


def test_a_moment_says_its_day_only_when_it_is_not_today():
    now = timezone.now()
    assert moment_in_words(now) == f"{now:%H:%M} UTC"
    assert moment_in_words(datetime(2031, 11, 2, 14, 30, tzinfo=UTC)) == "2 November, 14:30 UTC"
    assert moment_in_words(datetime(2031, 11, 2, 14, 30, tzinfo=UTC), "hi") == "2 नवंबर, 14:30 UTC"
