from datetime import timedelta

from django.utils import timezone

from tests.factories import make_agent, make_organisation, make_session
from voice.pricing.averages import averages_of


def calls(agent, count, **fields):
    for _ in range(count):
        make_session(agent, **{"duration_ms": 90_000, "captured_micro": 3_000_000, **fields})


def test_a_few_calls_are_no_average(agent):
    calls(agent, 4)
    assert averages_of(agent.organisation_id) is None


def test_averages_are_over_minutes_and_over_calls(agent):
    calls(agent, 5)
    averages = averages_of(agent.organisation_id)
    assert (averages.per_minute_micro, averages.per_call_micro) == (2_000_000, 3_000_000)
    assert (averages.call_ms, averages.minutes_per_call) == (90_000, 2)


def test_what_was_used_beyond_the_hold_counts_too(agent):
    calls(agent, 5, uncollected_micro=3_000_000)
    assert averages_of(agent.organisation_id).per_minute_micro == 4_000_000


def test_typed_old_live_and_silent_calls_are_left_out(agent):
    calls(agent, 5)
    calls(agent, 1, is_voice=False)
    calls(agent, 1, state="live")
    calls(agent, 1, captured_micro=0)
    calls(agent, 1, created_at=timezone.now() - timedelta(days=31))
    assert averages_of(agent.organisation_id).calls == 5


def test_another_organisations_calls_are_not_ours(agent):
    other = make_agent(make_organisation("Other"))
    calls(other, 9)
    assert averages_of(agent.organisation_id) is None
