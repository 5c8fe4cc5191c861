"""What an operator decides for one organisation holds for it alone, and wherever a model is chosen."""

from datetime import UTC, date, datetime

import pytest

from tests import factories
from voice.catalogue import moments
from voice.catalogue.http_models import resolve_http_model
from voice.catalogue.on_offer import (
    ModelNotOffered,
    offers_now,
    offers_to,
    resolve_model,
    stand_ins_for,
    text_after,
    transcription_of,
    writers_of,
)
from voice.models import CatalogueModel, ModelOverride
from voice.models.catalogue import ModelKind
from voice.sessions import records

pytestmark = pytest.mark.usefixtures("catalogue")
TODAY = date(2026, 12, 1)
MINI = "gpt-realtime-mini"


@pytest.fixture(autouse=True)
def key(settings):
    settings.OPENAI_API_KEY = "sk-test"


@pytest.fixture
def override(organisation, catalogue):
    def make(slug=MINI, **fields):
        return ModelOverride.objects.create(
            organisation=organisation, model=CatalogueModel.objects.get(slug=slug), **fields
        )

    return make


@pytest.fixture
def other(catalogue):
    return factories.make_organisation()


def served(organisation, slug=MINI):
    return resolve_model(slug, organisation, TODAY).served.slug


def test_a_model_is_switched_off_for_one_organisation_alone(override, organisation, other):
    override(status="maintenance", status_note="Your quota.")
    assert served(organisation) == "gpt-realtime-2.1-mini"
    assert served(other) == MINI
    assert resolve_model(MINI, None, TODAY).served.slug == MINI


def test_a_model_is_left_on_for_one_organisation_alone(override, organisation, other):
    CatalogueModel.objects.filter(slug=MINI).update(status="maintenance")
    override(status="available")
    assert served(organisation) == MINI
    assert served(other) == "gpt-realtime-2.1-mini"


def test_a_shutdown_date_stands_whatever_was_decided(override, organisation):
    override(status="available")
    assert resolve_model(MINI, organisation, date(2027, 1, 20)).served.slug == "gpt-realtime-2.1-mini"


def test_its_own_note_and_time_are_told(override, organisation):
    CatalogueModel.objects.filter(slug=MINI).update(expected_back_at=datetime(2026, 12, 1, 18, tzinfo=UTC))
    override(status="maintenance")
    mini, offers = CatalogueModel.objects.get(slug=MINI), offers_to(organisation.pk, TODAY)
    assert offers.why_not(mini) == "is under maintenance"
    ModelOverride.objects.update(expected_back_at=datetime(2026, 12, 2, 9, 30, tzinfo=UTC))
    offers = offers_to(organisation.pk, TODAY)
    assert offers.why_not(mini) == "is under maintenance until about 2 December, 09:30"


def test_its_own_fallbacks_stand_in(override, organisation, other):
    CatalogueModel.objects.filter(slug=MINI).update(status="maintenance")
    override(fallback_slugs=["parley-embedded"])
    assert served(organisation) == "parley-embedded"
    assert served(other) == "gpt-realtime-2.1-mini"


def test_the_ladder_of_an_organisation_is_its_own(override, organisation):
    override(fallback_slugs=["gpt-realtime"])
    mini = CatalogueModel.objects.get(slug=MINI)
    assert [model.slug for model in offers_to(organisation.pk, TODAY).ladder_of(mini)][:2] == [MINI, "gpt-realtime"]
    assert [model.slug for model in offers_to(None, TODAY).ladder_of(mini)][:2] == [MINI, "gpt-realtime-2.1-mini"]


def test_what_is_known_for_a_moment_of_one_organisation_is_not_told_another(override, organisation, monkeypatch):
    override(status="maintenance")
    ours, theirs = organisation.pk, factories.make_organisation("Mallory Ltd").pk
    offers_now(None, TODAY)
    monkeypatch.setattr(moments, "MOMENT_S", 60.0)
    for _ in range(2):
        assert offers_now(ours, TODAY).resolve(MINI).served.slug != MINI
        assert offers_now(theirs, TODAY).resolve(MINI).served.slug == MINI


def test_what_is_known_for_a_moment_answers_as_what_is_looked_up(override, organisation):
    override(status="maintenance", fallback_slugs=["gpt-realtime"])
    for offers in (offers_now(organisation.pk, TODAY), offers_to(organisation.pk, TODAY)):
        resolved = offers.resolve(MINI)
        assert (resolved.served.slug, offers.transcription_of(resolved.served).slug) == (
            "gpt-realtime",
            transcription_of(resolved.served, TODAY, organisation.pk).slug,
        )
        with pytest.raises(ModelNotOffered):
            offers.resolve("gpt-4.1")


def test_an_empty_override_changes_nothing(override, organisation):
    override()
    plain = CatalogueModel.objects.get(slug=MINI)
    model = offers_to(organisation.pk, TODAY).of(plain)
    assert {field.name: getattr(model, field.name) for field in model._meta.fields} == {
        field.name: getattr(plain, field.name) for field in plain._meta.fields
    }


def test_the_catalogue_itself_is_never_written_over(override, organisation):
    override(status="maintenance", fallback_slugs=["gpt-realtime"], max_output_tokens=7)
    before = CatalogueModel.objects.filter(slug=MINI).values().get()
    resolve_model(MINI, organisation, TODAY)
    assert CatalogueModel.objects.filter(slug=MINI).values().get() == before


def test_the_longest_answer_is_the_organisations(override, organisation, other):
    override(max_output_tokens=300)
    assert resolve_model(MINI, organisation, TODAY).served.max_output_tokens == 300
    assert resolve_model(MINI, other, TODAY).served.max_output_tokens == 4_096


def test_a_call_that_begins_keeps_to_the_organisations_longest_answer(override, open_session):
    override("parley-embedded", max_output_tokens=300)
    session = open_session(state="admitted", model_served="parley-embedded")
    call = records.begin(session.id)
    assert (call.max_output_tokens, call.endpoint.capabilities.max_output_tokens) == (300, 300)


def test_captions_are_the_organisations(override, organisation):
    override("gpt-4o-mini-transcribe", status="maintenance", fallback_slugs=["gpt-4o-transcribe"])
    mini = CatalogueModel.objects.get(slug=MINI)
    assert transcription_of(mini, TODAY, organisation.pk).slug == "gpt-4o-transcribe"
    assert transcription_of(mini, TODAY).slug == "gpt-4o-mini-transcribe"


def test_who_writes_its_notes_is_the_organisations(override, organisation):
    override("gpt-4.1", status="maintenance")
    assert writers_of("gpt-4.1", TODAY, organisation.pk)[0].slug == "gpt-6-luna"
    assert writers_of("gpt-4.1", TODAY)[0].slug == "gpt-4.1"


def test_requests_over_http_are_the_organisations(override, organisation):
    override("gpt-4.1", status="maintenance", max_output_tokens=99)
    assert resolve_http_model("gpt-4.1", ModelKind.CHAT, TODAY, organisation.pk).served.slug == "gpt-6-luna"
    assert resolve_http_model("gpt-4.1", ModelKind.CHAT, TODAY).served.slug == "gpt-4.1"


def test_when_everything_is_switched_off_for_it_the_call_is_refused(override, organisation, other):
    override(status="maintenance", fallback_slugs=["gpt-realtime"])
    override("gpt-realtime", status="retired", fallback_slugs=["nonsense"])
    for slug in ("gpt-realtime-2.1", "gpt-realtime-2.1-mini", "parley-embedded"):
        override(slug, status="maintenance")
    with pytest.raises(ModelNotOffered) as raised:
        served(organisation)
    assert raised.value.code == "model_unavailable"
    assert served(other) == MINI


@pytest.mark.parametrize(
    ("tried", "following"),
    [
        ([], MINI),
        ([MINI], "gpt-realtime-2.1-mini"),
        ([MINI, "gpt-realtime-2.1-mini"], "parley-embedded"),
        ([MINI, "gpt-realtime-2.1-mini", "parley-embedded"], None),
    ],
)
def test_the_next_rung_is_the_first_that_was_not_tried(tried, following):
    assert voice_after(MINI, tried) == following


def voice_after(slug, tried, organisation_id=None, is_doubted=lambda house: False):
    found = stand_ins_for(slug, organisation_id, TODAY)
    voices = found.after(tried, is_doubted) if found else ()
    return next((model.slug for model in voices if model.kind == ModelKind.REALTIME), None)


def test_the_next_rung_is_one_of_a_provider_that_is_not_doubted():
    assert voice_after(MINI, [MINI], is_doubted=lambda house: house == "openai") == "parley-embedded"
    assert voice_after(MINI, [MINI, "parley-embedded"], is_doubted=lambda house: True) == "gpt-realtime-2.1-mini"


def test_of_models_that_are_written_to_those_that_are_doubted_come_last_as_well(settings):
    settings.OPENAI_API_KEY = "sk-test"
    found = stand_ins_for(MINI, None, TODAY).after([], lambda house: house == "openai, in writing")
    assert [model.slug for model in found if model.kind == ModelKind.CHAT][:2] == [
        "parley-receptionist",
        settings.TEXT_FALLBACK_MODEL,
    ]


def test_the_next_rung_is_one_that_the_organisation_is_offered(override, organisation):
    override("gpt-realtime-2.1-mini", status="maintenance")
    assert voice_after(MINI, [MINI], organisation.pk) == "parley-embedded"


def test_a_name_that_nobody_knows_has_no_next_rung():
    assert voice_after("gpt-9", []) is None


@pytest.mark.parametrize(
    ("tried", "following"),
    [
        ([], "gpt-4.1"),
        (["gpt-4.1"], "gpt-6-luna"),
        (["gpt-4.1", "gpt-6-luna", "gpt-4.1-mini"], "parley-receptionist"),
        (["gpt-4.1", "gpt-6-luna", "gpt-4.1-mini", "parley-receptionist"], None),
    ],
)
def test_without_a_voice_the_text_models_are_tried_and_the_embedded_one_last(tried, following):
    found = text_after(MINI, None, tried, TODAY)
    assert (found and found.slug) == following


def test_the_text_model_is_the_operators_choice(settings):
    settings.TEXT_FALLBACK_MODEL = "gpt-6-luna"
    assert text_after(MINI, None, [], TODAY).slug == "gpt-6-luna"
    settings.TEXT_FALLBACK_MODEL = "mistyped"
    assert text_after(MINI, None, [], TODAY).slug == "parley-receptionist"


def test_without_a_key_only_the_embedded_model_writes(settings):
    settings.OPENAI_API_KEY = ""
    assert text_after(MINI, None, [], TODAY).slug == "parley-receptionist"


def test_who_asked_for_the_embedded_model_stays_on_this_machine():
    assert text_after("parley-embedded", None, [], TODAY).slug == "parley-receptionist"
    assert text_after("parley-embedded", None, ["parley-receptionist"], TODAY) is None


def test_the_text_model_moves_on_its_last_day():
    assert text_after(MINI, None, [], date(2027, 1, 14)).slug == "gpt-6-luna"


def test_an_organisations_text_model_is_its_own(override, organisation):
    override("gpt-4.1", status="maintenance")
    assert text_after(MINI, organisation.pk, [], TODAY).slug == "gpt-6-luna"
