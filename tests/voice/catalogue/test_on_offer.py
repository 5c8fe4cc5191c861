from datetime import UTC, date, datetime

import pytest

from voice.catalogue.on_offer import ModelNotOffered, resolve_model, transcription_of
from voice.models import CatalogueModel

pytestmark = pytest.mark.usefixtures("catalogue")
BEFORE, AFTER = date(2026, 12, 1), date(2027, 1, 20)


@pytest.fixture
def key(settings):
    settings.OPENAI_API_KEY = "sk-test"


def change(slug, **fields):
    CatalogueModel.objects.filter(slug=slug).update(**fields)


def served(slug, today=BEFORE):
    return resolve_model(slug, None, today).served.slug


@pytest.mark.usefixtures("key")
def test_what_is_on_offer_is_served_without_a_word():
    resolved = resolve_model("gpt-realtime-mini", None, BEFORE)
    assert (resolved.served.slug, resolved.reason) == ("gpt-realtime-mini", "")


def test_without_a_key_the_embedded_model_serves_and_says_so():
    resolved = resolve_model("gpt-realtime-mini", None, BEFORE)
    assert (resolved.asked.slug, resolved.served.slug) == ("gpt-realtime-mini", "parley-embedded")
    assert resolved.reason == (
        "GPT Realtime mini needs an OpenAI key, and this server has none: Parley's own model answers instead."
    )


@pytest.mark.usefixtures("key")
def test_from_its_shutdown_day_on_the_successor_serves():
    assert served("gpt-realtime-mini", date(2027, 1, 19)) == "gpt-realtime-mini"
    resolved = resolve_model("gpt-realtime-mini", None, AFTER)
    assert resolved.served.slug == "gpt-realtime-2.1-mini"
    assert resolved.reason == "GPT Realtime mini has been shut down: GPT Realtime 2.1 mini answers instead."


@pytest.mark.usefixtures("key")
def test_a_retired_model_is_gone_whatever_its_date():
    change("gpt-realtime", status="retired")
    assert served("gpt-realtime") == "gpt-realtime-2.1"


@pytest.mark.usefixtures("key")
def test_under_maintenance_the_fallbacks_serve_in_order():
    change("gpt-realtime", status="maintenance")
    change("gpt-realtime-2.1", status="maintenance")
    assert served("gpt-realtime") == "gpt-realtime-mini"


@pytest.mark.usefixtures("key")
def test_the_reason_says_when_a_model_is_expected_back():
    change("gpt-realtime", status="maintenance", expected_back_at=datetime(2026, 12, 1, 18, 30, tzinfo=UTC))
    reason = resolve_model("gpt-realtime", None, BEFORE).reason
    assert (
        reason == "GPT Realtime is under maintenance until about 1 December, 18:30: GPT Realtime 2.1 answers instead."
    )


@pytest.mark.usefixtures("key")
def test_a_preview_serves():
    change("gpt-realtime-2.1", status="preview")
    assert served("gpt-realtime-2.1") == "gpt-realtime-2.1"


@pytest.mark.usefixtures("key")
def test_a_successor_that_is_down_too_hands_on_to_its_own_fallbacks():
    change("gpt-realtime-mini", fallback_slugs=[])
    change("gpt-realtime-2.1-mini", status="maintenance", fallback_slugs=["parley-embedded"])
    assert served("gpt-realtime-mini", AFTER) == "parley-embedded"


@pytest.mark.parametrize("slug", ["gpt-5-realtime", "gpt-4.1", "whisper-1", ""])
def test_what_is_no_realtime_model_is_not_offered(slug):
    with pytest.raises(ModelNotOffered) as raised:
        served(slug)
    assert raised.value.code == "model_unknown"


def test_when_nothing_can_serve_the_call_is_refused_and_circles_end():
    change("gpt-realtime", fallback_slugs=["gpt-realtime-2.1", "nonsense", 7])
    change("gpt-realtime-2.1", fallback_slugs=["gpt-realtime"])
    with pytest.raises(ModelNotOffered) as raised:
        served("gpt-realtime")
    assert raised.value.code == "model_unavailable"


def test_captions_move_on_to_the_successor_too():
    model = CatalogueModel.objects.get(slug="gpt-realtime-2.1")
    assert transcription_of(model, BEFORE).slug == "gpt-4o-mini-transcribe"
    assert transcription_of(model, date(2027, 2, 26)).slug == "gpt-live-transcribe"


def test_a_model_may_have_no_captions():
    assert transcription_of(CatalogueModel(slug="x"), BEFORE) is None
