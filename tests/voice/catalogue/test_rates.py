from datetime import date

import pytest

from voice.catalogue.rate_card import Kind
from voice.catalogue.rates import RateMissing, cards_of, prices_of, rate_card
from voice.models import CatalogueModel, Rate

pytestmark = pytest.mark.usefixtures("catalogue")
DAY = date(2026, 12, 1)


def new_rate(slug, kind, micro, valid_from):
    model = CatalogueModel.objects.get(slug=slug)
    return Rate.objects.create(model=model, kind=kind, micro_per_million=micro, valid_from=valid_from)


def test_a_rate_holds_from_its_day_on():
    new_rate("gpt-realtime", "text_in", 5, date(2026, 12, 24))
    assert rate_card("gpt-realtime", date(2026, 12, 23)).rate_of(Kind.TEXT_IN) == 540_000_000
    assert rate_card("gpt-realtime", date(2026, 12, 24)).rate_of(Kind.TEXT_IN) == 5


def test_the_embedded_model_is_billed_as_the_one_it_stands_in_for():
    ours, theirs = (rate_card(slug, DAY) for slug in ("parley-embedded", "gpt-realtime-mini"))
    assert ours.micro_per_million == theirs.micro_per_million


@pytest.mark.parametrize("slug", ["gpt-realtime", "no-such-model"])
def test_a_model_without_rates_yet_cannot_be_billed(slug):
    with pytest.raises(RateMissing):
        rate_card(slug, date(2020, 1, 1))


def test_prices_of_many_models_are_those_of_each(django_assert_max_num_queries):
    slugs = ["gpt-realtime", "gpt-realtime-mini", "parley-embedded", "nobody's"]
    with django_assert_max_num_queries(2):
        cards = cards_of(slugs, DAY)
    assert cards == {slug: rate_card(slug, DAY) for slug in slugs[:3]}


def test_a_kind_of_a_later_version_is_left_alone():
    new_rate("gpt-realtime", "video_in", 5, DAY)
    assert rate_card("gpt-realtime", DAY).rate_of(Kind.TEXT_IN) == 540_000_000


@pytest.mark.parametrize("kind", ["text_in", "text_cached_in", "text_out", "audio_in", "audio_cached_in", "audio_out"])
def test_one_missing_kind_of_a_realtime_model_is_enough_to_refuse(kind):
    Rate.objects.filter(model__slug="gpt-realtime-mini", kind=kind).delete()
    with pytest.raises(RateMissing) as raised:
        prices_of(CatalogueModel.objects.get(slug="gpt-realtime-mini"), "", DAY)
    assert raised.value.kind == kind


def test_a_model_that_sees_needs_rates_for_images():
    Rate.objects.filter(kind="image_in").delete()
    with pytest.raises(RateMissing):
        prices_of(CatalogueModel.objects.get(slug="gpt-realtime"), "", DAY)
    assert prices_of(CatalogueModel.objects.get(slug="parley-embedded"), "", DAY)


def test_captions_need_a_rate_of_their_own():
    Rate.objects.filter(model__slug="whisper-1").delete()
    with pytest.raises(RateMissing):
        prices_of(CatalogueModel.objects.get(slug="gpt-realtime"), "whisper-1", DAY)


def test_captions_billed_by_time_hold_a_minute_beside_each_response():
    served = CatalogueModel.objects.get(slug="gpt-realtime-mini")
    assert prices_of(served, "whisper-1", DAY).transcription_reserve_micro == 810_000  # $0.006 and 35 %, in credits


def test_captions_that_are_not_made_hold_nothing():
    served = CatalogueModel.objects.get(slug="gpt-realtime-mini")
    prices = prices_of(served, "", DAY)
    assert prices.worst_case_micro(context_tokens=100, max_output_tokens=10) == 100 * 1500 + 10 * 3000
