from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.catalogue.rate_card import Kind, RateCard, RateMissing, affordable_output_tokens
from voice.metering.rating import minutes_cost_micro, rate, worst_case_micro

# gpt-realtime-mini: credits a million on the left, as the price sheet has it.
MINI = RateCard(
    "gpt-realtime-mini",
    {
        Kind.TEXT_IN: 81 * 10**6,
        Kind.TEXT_CACHED_IN: 8_100_000,
        Kind.TEXT_OUT: 324 * 10**6,
        Kind.AUDIO_IN: 1500 * 10**6,
        Kind.AUDIO_CACHED_IN: 40_500_000,
        Kind.AUDIO_OUT: 3000 * 10**6,
    },
)
# The provider's own prices in millionths of a dollar a million tokens, to check against its own arithmetic.
LIST = RateCard(
    "gpt-realtime-mini",
    {
        Kind.TEXT_IN: 600_000,
        Kind.TEXT_CACHED_IN: 60_000,
        Kind.TEXT_OUT: 2_400_000,
        Kind.AUDIO_IN: 10_000_000,
        Kind.AUDIO_CACHED_IN: 300_000,
        Kind.AUDIO_OUT: 20_000_000,
    },
)
# Text 200 of which 128 cached, audio 800 of which 472 cached, out text 50 and audio 400: $0.01159248.
CHECKED = {
    Kind.TEXT_IN: 72,
    Kind.TEXT_CACHED_IN: 128,
    Kind.AUDIO_IN: 328,
    Kind.AUDIO_CACHED_IN: 472,
    Kind.TEXT_OUT: 50,
    Kind.AUDIO_OUT: 400,
}


def test_the_list_price_of_a_checked_response_is_the_providers():
    assert rate(CHECKED, LIST).total_micro == 11_593  # $0.01159248, rounded up to a millionth of a dollar


def test_the_price_of_a_checked_response_is_the_sheets():
    # 72 x 81 + 128 x 8.1 + 328 x 1500 + 472 x 40.5 + 50 x 324 + 400 x 3000 = 1 734 184.8 credits a million responses
    assert rate(CHECKED, MINI).total_micro == 1_734_185


def test_nothing_costs_nothing():
    assert rate({}, MINI).lines == ()
    assert rate({Kind.TEXT_IN: 0}, MINI).total_micro == 0


def test_rounding_up_happens_once_for_all_kinds_together():
    card = RateCard("m", {Kind.TEXT_IN: 400_000, Kind.TEXT_OUT: 400_000})
    rating = rate({Kind.TEXT_IN: 1, Kind.TEXT_OUT: 1}, card)
    assert rating.total_micro == 1
    assert [line.amount_micro for line in rating.lines] == [1, 0]


def test_something_used_without_a_rate_cannot_be_priced():
    with pytest.raises(RateMissing) as raised:
        rate({Kind.IMAGE_IN: 1}, MINI)
    assert raised.value.kind == Kind.IMAGE_IN


def test_a_card_without_any_fitting_rate_has_no_dearest():
    with pytest.raises(RateMissing):
        RateCard("m", {}).dearest_of(Kind.TEXT_OUT)


def test_the_worst_case_takes_every_token_as_uncached_audio():
    assert worst_case_micro(MINI, context_tokens=1000, max_output_tokens=1024) == 1000 * 1500 + 1024 * 3000


def test_a_minute_costs_more_the_longer_the_conversation():
    first = minutes_cost_micro(MINI, context_tokens=0, is_voice=True)
    assert first == 300 * 1500 + 600 * 3000 + 200 * 324
    assert minutes_cost_micro(MINI, context_tokens=5000, is_voice=True) > first
    assert minutes_cost_micro(MINI, context_tokens=0, is_voice=False) < first


def test_a_free_model_affords_any_answer():
    free = RateCard("m", {Kind.TEXT_IN: 0, Kind.TEXT_OUT: 0})
    assert affordable_output_tokens(free, context_tokens=10**6, budget_micro=0) > 10**6


quantities = st.dictionaries(st.sampled_from(list(MINI.micro_per_million)), st.integers(0, 200_000))
rates = st.integers(0, 10**10)


@given(quantities, st.data())
def test_lines_add_up_to_a_total_that_is_the_exact_cost_rounded_up(used, data):
    prices = {kind: data.draw(rates) for kind in MINI.micro_per_million}
    rating = rate(used, RateCard("m", prices))
    exact = sum(Fraction(used[kind] * prices[kind], 10**6) for kind in used)
    assert sum(line.amount_micro for line in rating.lines) == rating.total_micro
    assert exact <= rating.total_micro < exact + 1
    for line in rating.lines:
        assert abs(line.amount_micro - Fraction(line.quantity * line.micro_per_million, 10**6)) < 1


@given(st.integers(0, 50_000), st.integers(0, 10**9))
def test_what_is_affordable_fits_the_budget_and_one_token_more_does_not(context_tokens, budget_micro):
    tokens = affordable_output_tokens(MINI, context_tokens=context_tokens, budget_micro=budget_micro)
    if tokens >= 0:
        assert worst_case_micro(MINI, context_tokens=context_tokens, max_output_tokens=tokens) <= budget_micro
    assert worst_case_micro(MINI, context_tokens=context_tokens, max_output_tokens=tokens + 1) > budget_micro
