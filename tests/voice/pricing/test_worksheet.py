"""The worksheet's sums, against the table of costs in dollars that two other implementations agree on."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voice.catalogue.rate_card import Kind, RateCard, RateMissing
from voice.pricing.parameters import PARAMETERS, History, Question
from voice.pricing.worksheet import ModelPrices, estimate, spoken_call, typed_call


def prices(text_in, text_cached, text_out, audio_in, audio_cached, audio_out, *, transcription=None, window=32_000):
    """Prices in millionths of a dollar, so that a call's micro-credits are millionths of a dollar too."""
    kinds = (Kind.TEXT_IN, Kind.TEXT_CACHED_IN, Kind.TEXT_OUT, Kind.AUDIO_IN, Kind.AUDIO_CACHED_IN, Kind.AUDIO_OUT)
    rates = (text_in, text_cached, text_out, audio_in, audio_cached, audio_out)
    card = RateCard("x", dict(zip(kinds, rates, strict=True)))
    return ModelPrices(card, transcription, window, 1_024)


MINI = prices(600_000, 60_000, 2_400_000, 10_000_000, 300_000, 20_000_000)
LARGE = prices(4_000_000, 400_000, 16_000_000, 32_000_000, 400_000, 64_000_000)
BY_TOKENS = RateCard("captions", {Kind.TEXT_IN: 1_250_000, Kind.AUDIO_IN: 1_250_000, Kind.TEXT_OUT: 5_000_000})
BY_TIME = RateCard("captions", {Kind.SECONDS: 100_000_000})

# Minutes, per cent cached, dollars: 6 s heard and 6 s spoken a turn, 600 tokens of instructions, list prices.
PUBLISHED_MINI = [
    (1, 95, "0.017"), (1, 80, "0.020"), (1, 0, "0.035"), (5, 95, "0.12"), (5, 80, "0.20"), (5, 0, "0.63"),
    (10, 95, "0.33"), (10, 80, "0.66"), (10, 0, "2.40"), (20, 95, "1.02"), (20, 80, "2.34"), (20, 0, "9.34"),
    (30, 95, "2.07"), (30, 80, "5.03"), (30, 0, "20.8"),
]  # fmt: skip
PUBLISHED_LARGE = [
    (1, 95, "0.057"), (1, 80, "0.067"), (1, 0, "0.12"), (5, 95, "0.37"), (5, 80, "0.64"), (5, 0, "2.07"),
    (10, 95, "0.97"), (10, 80, "2.05"), (10, 0, "7.81"), (20, 95, "2.87"), (20, 80, "7.20"), (20, 0, "30.3"),
    (30, 95, "5.71"), (30, 80, "15.5"), (30, 0, "67.5"),
]  # fmt: skip


@pytest.mark.parametrize(("minutes", "cached", "dollars"), PUBLISHED_MINI)
def test_a_growing_call_on_the_small_model_costs_what_the_table_says(minutes, cached, dollars):
    call = spoken_call(Question(minutes_per_call=minutes, cached_percent=cached), MINI)
    assert_about(call.amount_micro, dollars)


@pytest.mark.parametrize(("minutes", "cached", "dollars"), PUBLISHED_LARGE)
def test_a_growing_call_on_the_large_model_costs_what_the_table_says(minutes, cached, dollars):
    call = spoken_call(Question(minutes_per_call=minutes, cached_percent=cached), LARGE)
    assert_about(call.amount_micro, dollars)


def assert_about(amount_micro, dollars):
    """The same, to one of the last digit that the table shows."""
    published = Decimal(dollars)
    assert abs(Decimal(amount_micro) / 10**6 - published) < Decimal(1).scaleb(published.as_tuple().exponent)


def test_one_answer_costs_what_a_hand_can_add_up():
    question = Question(minutes_per_call=1, turns_per_minute=1, instructions_words=0)
    # 30 s heard, 300 tokens at 10; 30 s spoken, 600 at 20; 75 words, 100 tokens at 2.4: all in millionths.
    assert spoken_call(question, MINI).amount_micro == 3_000 + 12_000 + 240


def test_the_next_minute_costs_more_until_the_history_is_full():
    growing = spoken_call(Question(minutes_per_call=20), MINI).minutes_micro
    assert all(before < after for before, after in zip(growing, growing[1:], strict=False))
    bounded = spoken_call(Question(minutes_per_call=20, history=History.RECENT), MINI).minutes_micro
    assert bounded[-1] < growing[-1] / 2


def test_a_flat_sum_is_five_times_wrong_for_a_long_call():
    answer = estimate(Question(minutes_per_call=20), MINI)
    assert answer.spoken.amount_micro > 5 * answer.flat_micro
    assert answer.flat_micro == 20 * 15_000


def test_typing_the_same_words_costs_a_small_part():
    answer = estimate(Question(), MINI)
    assert 0 < answer.typed.amount_micro * 10 < answer.spoken.amount_micro


def test_what_the_caller_says_is_written_down_by_tokens_or_by_time():
    question = Question(minutes_per_call=1)
    silent = spoken_call(question, MINI).amount_micro
    by_tokens = ModelPrices(MINI.response, BY_TOKENS, 32_000, 1_024)
    by_time = ModelPrices(MINI.response, BY_TIME, 32_000, 1_024)
    # Five turns of 60 tokens heard and 20 written; five turns of six seconds.
    assert spoken_call(question, by_tokens).amount_micro - silent == 5 * (75 + 100)
    assert spoken_call(question, by_time).amount_micro - silent == 5 * 600
    assert typed_call(question, by_tokens) == typed_call(question, MINI)


def test_each_simultaneous_call_sets_aside_what_one_does():
    one, many = (estimate(Question(peak_calls=calls), MINI) for calls in (1, 7))
    assert one.peak_hold_micro == one.hold_micro > one.spoken.amount_micro
    assert many.peak_hold_micro == 7 * one.hold_micro


def test_a_model_without_a_rate_has_no_estimate():
    card = RateCard("x", {Kind.TEXT_IN: 1, Kind.TEXT_OUT: 1})
    with pytest.raises(RateMissing):
        estimate(Question(), ModelPrices(card, None, 32_000, 1_024))


questions = st.builds(
    Question,
    **{parameter.name: st.integers(parameter.least, min(parameter.most, 400)) for parameter in PARAMETERS},
    history=st.sampled_from(History),
)


# A call of a thousand answers takes its time on a busy machine.
@settings(deadline=None)
@given(questions)
def test_lines_and_minutes_add_up_to_the_call(question):
    with_captions = ModelPrices(MINI.response, BY_TOKENS, 32_000, 1_024)
    for call in (spoken_call(question, with_captions), typed_call(question, with_captions)):
        assert sum(line.amount_micro for line in call.lines + call.caption_lines) == call.amount_micro
        assert sum(call.minutes_micro) == call.amount_micro
        assert len(call.minutes_micro) == question.minutes_per_call


@settings(deadline=None)
@given(questions)
def test_more_cache_never_costs_more(question):
    fields = {name: getattr(question, name) for name in Question.__slots__}
    uncached = spoken_call(Question(**{**fields, "cached_percent": 0}), MINI)
    # Each answer is rounded up once, by less than a micro-credit.
    slack = question.minutes_per_call * question.turns_per_minute
    assert spoken_call(question, MINI).amount_micro <= uncached.amount_micro + slack
