"""The arithmetic of the pricing worksheet: a question and a model's rates in, credits out; rated as calls are."""

from collections.abc import Iterable
from dataclasses import dataclass

from voice.catalogue.rate_card import Kind, RateCard
from voice.metering.rating import Line, Rating, rate, worst_case_micro
from voice.metering.usage import Quantities
from voice.pricing.conversation import (
    Turn,
    instructions_tokens,
    reads_of,
    spoken_answer,
    turn_of,
    turns_of,
    typed_answer,
)
from voice.pricing.parameters import Question


@dataclass(frozen=True, slots=True)
class ModelPrices:
    """What the worksheet needs to know of a model; `transcription` None: what callers say is not written down."""

    response: RateCard
    transcription: RateCard | None
    window_tokens: int
    max_output_tokens: int


@dataclass(frozen=True, slots=True)
class CallCost:
    """One call. `minutes_micro` add up to `amount_micro`, and so do the lines of both kinds together."""

    amount_micro: int
    lines: tuple[Line, ...]
    caption_lines: tuple[Line, ...]
    minutes_micro: tuple[int, ...]
    context_tokens: int

    @property
    def per_minute_micro(self) -> int:
        """The average minute, rounded up."""
        return -(-self.amount_micro // len(self.minutes_micro))


@dataclass(frozen=True, slots=True)
class Estimate:
    """`flat_micro` is what the call would cost if nothing were ever read again: a sum that is easy, and wrong."""

    spoken: CallCost
    typed: CallCost
    flat_micro: int
    month_micro: int
    hold_micro: int
    peak_hold_micro: int


def estimate(question: Question, prices: ModelPrices) -> Estimate:
    """Return what such calls cost. Raises RateMissing when the model lacks a rate that they need."""
    spoken = spoken_call(question, prices)
    hold_micro = worst_case_micro(
        prices.response, context_tokens=spoken.context_tokens, max_output_tokens=prices.max_output_tokens
    )
    return Estimate(
        spoken=spoken,
        typed=typed_call(question, prices),
        flat_micro=_flat_micro(question, prices),
        month_micro=spoken.amount_micro * question.calls_a_month,
        # What is set aside while a call runs: all that it has used by its last answer, and that answer's worst case.
        hold_micro=spoken.amount_micro + hold_micro,
        peak_hold_micro=(spoken.amount_micro + hold_micro) * question.peak_calls,
    )


def spoken_call(question: Question, prices: ModelPrices) -> CallCost:
    turn = turn_of(question)
    reads = list(reads_of(question, turn.voice_tokens, prices.window_tokens))
    answers = [spoken_answer(question, turn, read) for read in reads]
    captions = _captions(turn, prices.transcription)
    context_tokens = instructions_tokens(question) + reads[-1].kept * turn.voice_tokens + turn.heard
    return _cost(question, prices, answers, captions, context_tokens)


def typed_call(question: Question, prices: ModelPrices) -> CallCost:
    """The same words, typed: the alternative that needs no microphone."""
    turn = turn_of(question)
    reads = list(reads_of(question, turn.text_tokens, prices.window_tokens))
    answers = [typed_answer(question, turn, read) for read in reads]
    context_tokens = instructions_tokens(question) + reads[-1].kept * turn.text_tokens + turn.words_heard
    return _cost(question, prices, answers, {}, context_tokens)


def _cost(
    question: Question, prices: ModelPrices, answers: list[Quantities], captions: Quantities, context_tokens: int
) -> CallCost:
    responses = [rate(answer, prices.response) for answer in answers]
    written = rate(captions, prices.transcription) if prices.transcription is not None else Rating((), 0)
    amounts = [response.total_micro + written.total_micro for response in responses]
    minutes = (
        sum(amounts[first : first + question.turns_per_minute])
        for first in range(0, turns_of(question), question.turns_per_minute)
    )
    return CallCost(
        amount_micro=sum(amounts),
        lines=_added_up(line for response in responses for line in response.lines),
        caption_lines=_added_up(written.lines * len(answers)),
        minutes_micro=tuple(minutes),
        context_tokens=context_tokens,
    )


def _captions(turn: Turn, card: RateCard | None) -> Quantities:
    """What writing down one turn of the caller's uses, by tokens if the model has such rates, by time if not."""
    if card is None:
        return {}
    if Kind.AUDIO_IN in card.micro_per_million:
        return {Kind.AUDIO_IN: turn.heard, Kind.TEXT_OUT: turn.words_heard}
    return {Kind.SECONDS: -(-turn.heard_ms // 1000)}


def _added_up(lines: Iterable[Line]) -> tuple[Line, ...]:
    sums: dict[tuple[Kind, int], tuple[int, int]] = {}
    for line in lines:
        quantity, amount_micro = sums.get((line.kind, line.micro_per_million), (0, 0))
        sums[line.kind, line.micro_per_million] = (quantity + line.quantity, amount_micro + line.amount_micro)
    return tuple(Line(kind, quantity, price, amount_micro) for (kind, price), (quantity, amount_micro) in sums.items())


def _flat_micro(question: Question, prices: ModelPrices) -> int:
    turn = turn_of(question)
    once = {Kind.AUDIO_IN: turn.heard, Kind.AUDIO_OUT: turn.spoken}
    return rate(once, prices.response).total_micro * turns_of(question)
