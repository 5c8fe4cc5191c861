"""Today at a glance: every figure recomputed by hand."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone

from tests.factories import MICRO, make_agent, make_session, make_usage, make_user
from voice.admin.today import today_at_a_glance
from voice.models import EndReason, SessionState, Switches, UsageRecord

YESTERDAY = timedelta(days=1)


@pytest.fixture
def agent(cast, catalogue):
    return make_agent(cast.organisation)


def test_live_calls_are_counted_and_silent_ones_named(agent, make_live_session):
    make_live_session(agent)
    make_live_session(agent, seen_at=timezone.now() - timedelta(minutes=5))

    today = today_at_a_glance()

    assert (today.live_calls, today.silent_calls) == (2, 1)


def test_a_call_counts_on_the_day_it_ended(agent):
    now = timezone.now()
    make_session(agent, created_at=now - YESTERDAY, ended_at=now, duration_ms=150_000)
    make_session(agent, ended_at=now - YESTERDAY, duration_ms=600_000)

    today = today_at_a_glance()

    assert (today.calls, today.minutes) == (1, 2)


def test_a_ticket_that_nobody_used_is_no_call(agent):
    make_session(agent, end_reason=EndReason.TICKET_UNUSED, ended_at=timezone.now(), state=SessionState.ENDED)

    assert today_at_a_glance().calls == 0


def test_calls_are_counted_by_how_they_ended_most_frequent_first(agent):
    for reason in (EndReason.SILENCE, EndReason.CALLER_HUNG_UP, EndReason.CALLER_HUNG_UP):
        make_session(agent, end_reason=reason, ended_at=timezone.now())

    counted = [(each.value, each.label, each.calls) for each in today_at_a_glance().end_reasons]

    assert counted == [("caller_hung_up", "The caller hung up", 2), ("silence", "Nobody spoke", 1)]


def test_sign_ups_of_today_are_counted(cast):
    before = today_at_a_glance().sign_ups
    make_user(date_joined=timezone.now() - YESTERDAY)
    make_user()

    assert today_at_a_glance().sign_ups == before + 1


def test_what_was_charged_and_what_was_not_are_the_usages_of_today(agent):
    session = make_session(agent)
    make_usage(
        session, ("audio_in", 1000, 1_500_000_000, 1_500_000), captured_micro=1_400_000, uncollected_micro=100_000
    )
    old = make_usage(session, ("audio_in", 1000, 1_500_000_000, 1_500_000))
    UsageRecord.objects.filter(pk=old.pk).update(created_at=timezone.now() - YESTERDAY)

    money = today_at_a_glance().money

    assert (money.charged_micro, money.uncollected_micro) == (1_400_000, 100_000)


def test_the_provider_is_paid_its_list_price(agent):
    # 1000 tokens at $10 a million are a cent; a credit is a cent.
    make_usage(make_session(agent), ("audio_in", 1000, 1_500_000_000, 1_500_000))

    money = today_at_a_glance().money

    assert (money.cost_micro, money.margin_micro, money.margin_percent) == (1 * MICRO, 500_000, 33)


def test_a_day_without_charges_has_no_margin_in_percent(db):
    money = today_at_a_glance().money

    assert (money.charged_micro, money.cost_micro, money.margin_percent) == (0, 0, None)


def test_the_embedded_model_costs_no_provider_anything(agent):
    session = make_session(agent, model_served="parley-embedded")
    make_usage(session, ("audio_in", 1000, 1_500_000_000, 1_500_000))

    assert today_at_a_glance().money.cost_micro == 0


def test_money_is_added_up_again_once_the_cache_forgets(agent):
    session = make_session(agent)
    today_at_a_glance()
    make_usage(session, ("audio_in", 1000, 1_500_000_000, 1_500_000))
    kept = today_at_a_glance().money.charged_micro
    cache.clear()

    assert (kept, today_at_a_glance().money.charged_micro) == (0, 1_500_000)


def test_a_pause_shows_with_its_message(db):
    Switches.objects.create(calls_paused=True, pause_message="Back at noon.")

    today = today_at_a_glance()

    assert (today.calls_paused, today.pause_message) == (True, "Back at noon.")
