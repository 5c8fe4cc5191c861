"""From quantities to micro-credits: exact integers, rounded up once, with lines that add up to the total."""

from collections.abc import Mapping
from dataclasses import dataclass

from voice.catalogue.rate_card import UNITS_PER_RATE, Kind, RateCard, RateMissing, worst_case_micro

__all__ = ["Line", "Rating", "RateMissing", "minutes_cost_micro", "rate", "worst_case_micro"]

# A minute of ordinary talk: both speak half of it, in five exchanges, each of which reads the conversation again,
# four fifths of it from the provider's cache.
_CALLER_TOKENS_A_MINUTE = 300
_AGENT_TOKENS_A_MINUTE = 600
_WORDS_TOKENS_A_MINUTE = 200
_EXCHANGES_A_MINUTE = 5


@dataclass(frozen=True, slots=True)
class Line:
    kind: Kind
    quantity: int
    micro_per_million: int
    amount_micro: int


@dataclass(frozen=True, slots=True)
class Rating:
    lines: tuple[Line, ...]
    total_micro: int


def rate(quantities: Mapping[Kind, int], card: RateCard) -> Rating:
    """Price what was used. Raises RateMissing when something used has no rate."""
    used = [(kind, quantities[kind], card.rate_of(kind)) for kind in Kind if quantities.get(kind, 0) > 0]
    total_micro = -(-sum(quantity * price for _, quantity, price in used) // UNITS_PER_RATE)
    amounts = [quantity * price // UNITS_PER_RATE for _, quantity, price in used]
    # What rounding down took from the lines goes to those that lost most, a micro-credit each.
    by_loss = sorted(range(len(used)), key=lambda i: -(used[i][1] * used[i][2] % UNITS_PER_RATE))
    for i in by_loss[: total_micro - sum(amounts)]:
        amounts[i] += 1
    lines = (Line(kind, quantity, price, amount) for (kind, quantity, price), amount in zip(used, amounts, strict=True))
    return Rating(tuple(lines), total_micro)


def minutes_cost_micro(card: RateCard, *, context_tokens: int, is_voice: bool) -> int:
    """Return what about one more minute of ordinary talk costs; for a warning, never for a bill."""
    heard, spoken = (Kind.AUDIO_IN, Kind.AUDIO_OUT) if is_voice else (Kind.TEXT_IN, Kind.TEXT_OUT)
    cached = Kind.AUDIO_CACHED_IN if is_voice else Kind.TEXT_CACHED_IN
    read_again = context_tokens * _EXCHANGES_A_MINUTE
    quantities = {
        heard: _CALLER_TOKENS_A_MINUTE + read_again // 5,
        cached: read_again - read_again // 5,
        spoken: _AGENT_TOKENS_A_MINUTE,
    }
    units = sum(quantity * card.rate_of(kind) for kind, quantity in quantities.items())
    return -(-(units + _WORDS_TOKENS_A_MINUTE * card.rate_of(Kind.TEXT_OUT)) // UNITS_PER_RATE)
