"""/metrics: shown to whoever has the token, exact because it is read from the database."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import DatabaseError
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from outbox.models import OutboxMessage, OutboxState
from tests.factories import make_agent, make_organisation, make_session
from voice.catalogue.seed import seed_catalogue
from voice.models import CatalogueModel, ComponentBeat, EndReason, Rung, SessionState, Switches
from voice.models.availability import ModelHealth

TOKEN = "a-token-for-the-scraper"

pytestmark = pytest.mark.django_db


@pytest.fixture
def agent():
    return make_agent(make_organisation("Rosewood Dental", credits=10))


@pytest.fixture
def scrape(client, settings):
    """Return the samples as {(name, label value or ""): value}."""
    settings.METRICS_TOKEN = TOKEN

    def read():
        response = client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
        assert response.status_code == 200
        families = text_string_to_metric_families(response.text)
        samples = [sample for family in families for sample in family.samples]
        return {(sample.name, next(iter(sample.labels.values()), "")): sample.value for sample in samples}

    return read


def test_there_is_no_such_page_without_a_token_in_the_settings(client):
    assert client.get("/metrics").status_code == 404


@pytest.mark.parametrize("shown", ["", "Bearer ", "Bearer wrong", TOKEN, f"Basic {TOKEN}", "Bearer é"])
def test_whoever_shows_another_token_is_told_nothing(client, settings, shown):
    settings.METRICS_TOKEN = TOKEN
    response = client.get("/metrics", headers={"authorization": shown})
    assert (response.status_code, response.content) == (401, b"")


def test_live_calls_and_those_whose_process_is_gone_are_told_apart(scrape, agent):
    now = timezone.now()
    make_session(agent, state=SessionState.LIVE, seen_at=now, ended_at=None, end_reason="")
    make_session(agent, state=SessionState.LIVE, seen_at=now - timedelta(minutes=3), ended_at=None, end_reason="")
    found = scrape()
    assert (found["parley_calls_live", ""], found["parley_calls_silent", ""]) == (2, 1)


def test_calls_of_the_last_hour_are_counted_by_how_they_ended(scrape, agent):
    long_ago = timezone.now() - timedelta(hours=2)
    make_session(agent, end_reason=EndReason.UPSTREAM_FAILED)
    make_session(agent, end_reason=EndReason.UPSTREAM_FAILED, ended_at=long_ago)
    found = scrape()
    assert found["parley_calls_ended_last_hour", "upstream_failed"] == 1
    assert found["parley_calls_ended_last_hour", "process_died"] == 0


def test_calls_that_went_on_with_another_model_are_counted_by_why(scrape, agent):
    recent, old = make_session(agent), make_session(agent, created_at=timezone.now() - timedelta(hours=2))
    for session in (recent, old):
        Rung.objects.create(session=session, index=0, model_slug="gpt-realtime-mini", kind="realtime", at_ms=0)
        Rung.objects.create(
            session=session, index=1, model_slug="gpt-realtime", kind="realtime", at_ms=9, reason="upstream_stalled"
        )
    found = {key: value for key, value in scrape().items() if key[0] == "parley_calls_moved_last_hour"}
    assert found == {("parley_calls_moved_last_hour", "upstream_stalled"): 1}


def test_a_worker_that_says_nothing_any_more_is_noticed(scrape):
    ComponentBeat.objects.update_or_create(name="worker", defaults={"seen_at": timezone.now() - timedelta(minutes=9)})
    assert 540 <= scrape()["parley_part_silent_seconds", "worker"] < 600


def test_what_was_not_collected_today_is_shown_in_micro_credits(scrape, agent):
    make_session(agent, captured_micro=7_000_001, uncollected_micro=42, ended_at=timezone.now())
    found = scrape()
    assert found["parley_captured_today_micro", ""] == 7_000_001
    assert found["parley_uncollected_today_micro", ""] == 42


def test_work_that_waits_is_late_from_when_it_was_due(scrape):
    due = timezone.now() - timedelta(seconds=90)
    OutboxMessage.objects.create(kind="k", key="late", next_attempt_at=due)
    OutboxMessage.objects.create(kind="k", key="later", next_attempt_at=timezone.now() + timedelta(hours=1))
    OutboxMessage.objects.create(kind="k", key="dead", state=OutboxState.GIVEN_UP, done_at=timezone.now())
    found = scrape()
    assert found["parley_outbox_pending", ""] == 2
    assert found["parley_outbox_given_up", ""] == 1
    assert 90 <= found["parley_outbox_late_seconds", ""] < 150


def test_models_show_their_breaker_their_maintenance_and_their_last_days(scrape):
    seed_catalogue()
    model = CatalogueModel.objects.get(slug="gpt-realtime-mini")
    model.status, model.shutdown_on = "maintenance", timezone.localdate() + timedelta(days=5)
    model.save()
    ModelHealth.objects.update_or_create(model=model, defaults={"opened_at": timezone.now()})
    found = scrape()
    for name, value in [("breaker_open", 1), ("under_maintenance", 1), ("shutdown_days", 5)]:
        assert found[f"parley_model_{name}", model.slug] == value
    assert found["parley_model_breaker_open", "gpt-4.1"] == 0


def test_a_pause_is_shown(scrape):
    assert scrape()["parley_calls_paused", ""] == 0
    Switches.objects.create(calls_paused=True)
    assert scrape()["parley_calls_paused", ""] == 1


def test_a_cache_that_is_away_is_a_number_and_no_error(scrape, monkeypatch):
    assert scrape()["parley_cache_up", ""] == 1

    def refuse(*_, **__):
        raise ConnectionError

    monkeypatch.setattr(cache._connections["default"], "set", refuse)
    assert scrape()["parley_cache_up", ""] == 0


def test_without_the_database_there_are_no_numbers_rather_than_old_ones(client, settings, monkeypatch):
    settings.METRICS_TOKEN = TOKEN

    def refuse(*_):
        raise DatabaseError

    monkeypatch.setattr("config.metrics.backlogs", refuse)
    assert client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 503
