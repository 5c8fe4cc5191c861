"""What providers charge for usage: list prices of the day, rounded up once, a row a model for billing's margin."""

from datetime import timedelta

import pytest
from django.utils import timezone

from billing.margin import Margin
from tests.factories import MICRO, make_session, make_usage
from voice.metering.provider_cost import list_prices, margins_since, provider_cost_micro
from voice.models import ApiRequest, CatalogueModel, Note, Rate, UsageRecord

A_CENT = ("audio_in", 1000, 1_500_000_000, 1_500_000)


@pytest.fixture
def session(agent):
    return make_session(agent)


def a_week_ago():
    return timezone.now() - timedelta(days=7)


def test_provider_cost_is_rounded_up_once():
    usage = [("m", [{"kind": "text_in", "quantity": 1}, {"kind": "text_in", "quantity": 1}]), ("m", [])]

    assert provider_cost_micro(usage, {("m", "text_in"): 1}) == 1


def test_a_price_of_tomorrow_does_not_count_today(catalogue):
    mini, day = CatalogueModel.objects.get(slug="gpt-realtime-mini"), timezone.localdate()
    Rate.objects.filter(model=mini, kind="audio_in").delete()
    for days, price in [(-10, 1), (-1, 2), (1, 3)]:
        Rate.objects.create(
            model=mini,
            kind="audio_in",
            micro_per_million=1,
            list_price_usd_micro_per_million=price,
            valid_from=day + timedelta(days=days),
        )

    assert list_prices(day)["gpt-realtime-mini", "audio_in"] == 2


def test_each_model_has_a_row_with_what_was_charged_and_what_it_cost(session):
    # 1000 tokens at $10 a million are a cent; a credit is a cent.
    make_usage(session, A_CENT)
    make_usage(session, A_CENT, captured_micro=1_000_000, uncollected_micro=500_000)
    make_usage(session, A_CENT, model_slug="parley-embedded")
    rows = {row.model: row for row in margins_since(a_week_ago())}
    assert rows["gpt-realtime-mini"] == Margin("gpt-realtime-mini", 2_500_000, 500_000, 2 * MICRO)
    assert rows["parley-embedded"].cost_micro == 0


def test_usage_before_then_does_not_count(session):
    old = make_usage(session, A_CENT)
    UsageRecord.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=8))
    assert margins_since(a_week_ago()) == []


def test_usage_costs_what_held_on_its_day(session):
    mini = CatalogueModel.objects.get(slug="gpt-realtime-mini")
    yesterday = timezone.now() - timedelta(days=1)
    old = make_usage(session, A_CENT)
    UsageRecord.objects.filter(pk=old.pk).update(created_at=yesterday)
    make_usage(session, A_CENT)
    Rate.objects.update_or_create(
        model=mini,
        kind="audio_in",
        valid_from=timezone.localdate(),
        defaults={"micro_per_million": 1, "list_price_usd_micro_per_million": 30_000_000},
    )
    Rate.objects.filter(model=mini, kind="audio_in").exclude(valid_from=timezone.localdate()).delete()
    Rate.objects.create(
        model=mini,
        kind="audio_in",
        valid_from=timezone.localdate(yesterday),
        micro_per_million=1,
        list_price_usd_micro_per_million=10_000_000,
    )
    assert [row.cost_micro for row in margins_since(a_week_ago())] == [4 * MICRO]


def test_requests_that_are_no_calls_count_too(session):
    line = dict(zip(("kind", "quantity", "micro_per_million", "amount_micro"), A_CENT, strict=True))
    ApiRequest.objects.create(
        organisation=session.organisation,
        kind="chat",
        model_asked="gpt-realtime-mini",
        model_served="gpt-realtime-mini",
        lines=[line],
        captured_micro=1_500_000,
    )
    assert margins_since(a_week_ago()) == [Margin("gpt-realtime-mini", 1_500_000, 0, 1 * MICRO)]


def test_notes_count_with_every_answer_and_only_the_last_is_charged(session):
    line = dict(zip(("kind", "quantity", "micro_per_million", "amount_micro"), A_CENT, strict=True))
    answer = {"model_slug": "gpt-realtime-mini", "usage": {}, "lines": [line], "amount_micro": 1_500_000}
    Note.objects.create(
        session=session,
        organisation=session.organisation,
        usage=[answer, answer],
        cost_micro=3_000_000,
        charged_micro=1_500_000,
    )
    assert margins_since(a_week_ago()) == [Margin("gpt-realtime-mini", 1_500_000, 0, 2 * MICRO)]
