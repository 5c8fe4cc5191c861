"""The models are looked at without a caller, and what that finds opens and closes their breakers."""

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.fakes.scripted_upstream import ScriptedUpstream
from voice.catalogue import breaker
from voice.catalogue.on_offer import resolve_model
from voice.models import CatalogueModel, ModelHealth, ModelStatusChange
from voice.sessions.fallback import trial
from voice.sessions.fallback.probes import probe, probe_due_models
from voice.tasks import probe_models
from voice.upstream.errors import UpstreamDropped

pytestmark = pytest.mark.usefixtures("catalogue")
MINI = "gpt-realtime-mini"
DOWN = UpstreamDropped("upstream_unreachable", retryable=True)
OPENAI = {"gpt-realtime", "gpt-realtime-2.1", "gpt-realtime-2.1-mini", MINI}


@pytest.fixture
def down(monkeypatch, settings):
    """Providers' names of the models that do not answer; all others do. Every dial is kept in `down.dialled`."""
    settings.OPENAI_API_KEY = "sk-test"

    class Down(set):
        dialled = []

    models = Down()
    models.dialled = []

    async def dial(endpoint, *, timeout_s):
        models.dialled.append(endpoint.model)
        if endpoint.model in models:
            raise DOWN
        return ScriptedUpstream()

    monkeypatch.setattr(trial.registry, "dial", dial)
    return models


def slugs(models):
    return {model.slug for model in models}


def now(seconds=0):
    return timezone.now() + timedelta(seconds=seconds)


def due():
    ModelHealth.objects.update(next_probe_at=now(-1))


def test_every_model_for_calls_that_has_its_key_is_looked_at(down):
    assert slugs(probe_due_models(now())) == OPENAI | {"parley-embedded"}


def test_without_a_key_only_the_embedded_model_is_looked_at(down, settings):
    settings.OPENAI_API_KEY = ""
    assert slugs(probe_due_models(now())) == {"parley-embedded"}


def test_one_that_answers_is_left_alone_for_five_minutes(down):
    probe_due_models(now())
    assert probe_due_models(now(290)) == []
    assert slugs(probe_due_models(now(310))) >= OPENAI


@pytest.mark.parametrize("change", [{"status": "maintenance"}, {"status": "retired"}, {"shutdown_on": "2026-01-01"}])
def test_what_nobody_is_offered_is_not_looked_at(down, change):
    CatalogueModel.objects.filter(slug=MINI).update(**change)
    assert MINI not in slugs(probe_due_models(now()))


def test_a_model_falls_silent_and_comes_back_without_anybody(down):
    down.add(MINI)
    for _ in range(3):
        probe_models()
        due()
    assert resolve_model(MINI, None).served.slug == "gpt-realtime-2.1-mini"

    down.clear()
    probe_models()
    assert resolve_model(MINI, None).served.slug == MINI
    changed = ModelStatusChange.objects.order_by("id").values_list("model__slug", "after", "who", "why")
    assert list(changed) == [
        (MINI, "down", "breaker", "upstream_unreachable, 3 in a row"),
        (MINI, "up", "breaker", "A probe was answered."),
    ]


def test_one_model_that_cannot_be_dialled_keeps_no_other_from_being_looked_at(down, monkeypatch):
    dial = trial.registry.dial

    async def broken(endpoint, *, timeout_s):
        if endpoint.model == MINI:
            raise ValueError(endpoint.model)
        return await dial(endpoint, timeout_s=timeout_s)

    monkeypatch.setattr(trial.registry, "dial", broken)
    probe_due_models(now())
    assert ModelHealth.objects.get(model__slug=MINI).last_failure_code == "trial_failed"
    assert ModelHealth.objects.get(model__slug="gpt-realtime").last_success_at is not None


def test_those_kept_away_are_looked_at_first(down):
    down.add("gpt-realtime-2.1")
    for _ in range(3):
        breaker.failed("gpt-realtime-2.1", "upstream_unavailable")
    due()
    probe_due_models(now())
    assert down.dialled[0] == "gpt-realtime-2.1"


def test_a_look_at_once_counts_too(down):
    down.add(MINI)
    model = CatalogueModel.objects.get(slug=MINI)
    assert probe(model).code == "upstream_unreachable"
    assert ModelHealth.objects.get(model=model).failures_in_a_row == 1
