from datetime import date

import pytest

from voice.catalogue.rate_card import Kind
from voice.catalogue.rates import prices_of, rate_card
from voice.catalogue.seed import seed_catalogue
from voice.models import CatalogueModel, Rate

DAY = date(2026, 12, 1)


@pytest.mark.usefixtures("catalogue")
def test_seeding_again_adds_nothing():
    before = CatalogueModel.objects.count(), Rate.objects.count()
    seed_catalogue()
    assert (CatalogueModel.objects.count(), Rate.objects.count()) == before


@pytest.mark.usefixtures("catalogue")
def test_seeding_again_keeps_what_the_operator_changed():
    CatalogueModel.objects.filter(slug="gpt-realtime").update(status="maintenance", fallback_slugs=["x"])
    Rate.objects.filter(model__slug="gpt-realtime", kind="text_in").update(micro_per_million=7, valid_from=DAY)
    seed_catalogue()
    model = CatalogueModel.objects.get(slug="gpt-realtime")
    rates = Rate.objects.filter(model=model, kind="text_in")
    assert (model.status, model.fallback_slugs) == ("maintenance", ["x"])
    assert [rate.micro_per_million for rate in rates] == [7]


@pytest.mark.usefixtures("catalogue")
def test_the_default_models_speech_costs_what_the_published_sheet_says():
    card = rate_card("gpt-realtime-mini", DAY)
    assert card.rate_of(Kind.AUDIO_IN) == 1500 * 10**6
    assert card.rate_of(Kind.AUDIO_OUT) == 3000 * 10**6


@pytest.mark.usefixtures("catalogue")
def test_every_other_rate_is_the_list_price_in_credits_and_35_percent():
    published = {"audio_in", "audio_out"}
    rates = Rate.objects.exclude(model__slug="gpt-realtime-mini", kind__in=published)
    assert {r.micro_per_million * 100 - r.list_price_usd_micro_per_million * 100 * 135 for r in rates} == {0}
    text_in = rates.get(model__slug="gpt-realtime-mini", kind="text_in")
    assert text_in.micro_per_million == 81_000_000  # $0.60 a million: 60 credits, and 35 % more


@pytest.mark.usefixtures("catalogue")
def test_every_model_can_be_billed_for_whatever_it_reports():
    for model in CatalogueModel.objects.filter(kind="realtime"):
        assert prices_of(model, model.transcription_slug, DAY).transcription_reserve_micro > 0


@pytest.mark.usefixtures("catalogue")
def test_every_realtime_model_falls_back_to_the_embedded_one_in_the_end():
    for model in CatalogueModel.objects.filter(kind="realtime").exclude(slug="parley-embedded"):
        assert model.fallback_slugs[-1] == "parley-embedded"


@pytest.mark.usefixtures("catalogue")
def test_every_name_in_the_catalogue_is_in_the_catalogue():
    slugs = set(CatalogueModel.objects.values_list("slug", flat=True))
    for model in CatalogueModel.objects.all():
        named = {model.successor_slug, model.rated_as_slug, model.transcription_slug, *model.fallback_slugs} - {""}
        assert named <= slugs, model.slug
        assert bool(model.shutdown_on) == bool(model.successor_slug), model.slug
