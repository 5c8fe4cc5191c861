"""A model's unit prices on one day, and the arithmetic that needs nothing else; free of Django."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What is counted. Cached kinds are what the provider had read before and reads again for less."""

    TEXT_IN = "text_in"
    TEXT_CACHED_IN = "text_cached_in"
    TEXT_OUT = "text_out"
    AUDIO_IN = "audio_in"
    AUDIO_CACHED_IN = "audio_cached_in"
    AUDIO_OUT = "audio_out"
    IMAGE_IN = "image_in"
    IMAGE_CACHED_IN = "image_cached_in"
    SECONDS = "seconds"
    CHARACTERS = "characters"


INPUT_KINDS = (Kind.TEXT_IN, Kind.AUDIO_IN, Kind.IMAGE_IN)
CACHED_INPUT_KINDS = (Kind.TEXT_CACHED_IN, Kind.AUDIO_CACHED_IN, Kind.IMAGE_CACHED_IN)
OUTPUT_KINDS = (Kind.TEXT_OUT, Kind.AUDIO_OUT)
UNITS_PER_RATE = 1_000_000


class RateMissing(Exception):
    """`model_slug` was, or could be, billed by `kind`, which has no rate; kind "" means none at all."""

    def __init__(self, model_slug: str, kind: str = "") -> None:
        super().__init__(model_slug, kind)
        self.model_slug = model_slug
        self.kind = kind


@dataclass(frozen=True, slots=True)
class RateCard:
    """Micro-credits per million units, by kind."""

    model_slug: str
    micro_per_million: Mapping[Kind, int]

    def rate_of(self, kind: Kind) -> int:
        """Raises RateMissing."""
        try:
            return self.micro_per_million[kind]
        except KeyError:
            raise RateMissing(self.model_slug, kind) from None

    def require(self, *kinds: Kind) -> None:
        """Raises RateMissing unless every kind has a rate."""
        for kind in kinds:
            self.rate_of(kind)

    def dearest_of(self, *kinds: Kind) -> int:
        """Return the highest rate among those of `kinds` that have one. Raises RateMissing when none has."""
        rates = [self.micro_per_million[kind] for kind in kinds if kind in self.micro_per_million]
        if not rates:
            raise RateMissing(self.model_slug, kinds[0])
        return max(rates)


def worst_case_micro(card: RateCard, *, context_tokens: int, max_output_tokens: int) -> int:
    """Return the most one response can cost: nothing cached, every token of the dearest kind. Rounded up."""
    units = context_tokens * card.dearest_of(*INPUT_KINDS, *CACHED_INPUT_KINDS)
    units += max_output_tokens * card.dearest_of(*OUTPUT_KINDS)
    return -(-units // UNITS_PER_RATE)


def affordable_output_tokens(card: RateCard, *, context_tokens: int, budget_micro: int) -> int:
    """Return how long a response may become so that its worst case stays within the budget; 0 or less: not at all."""
    units = budget_micro * UNITS_PER_RATE - context_tokens * card.dearest_of(*INPUT_KINDS, *CACHED_INPUT_KINDS)
    dearest = card.dearest_of(*OUTPUT_KINDS)
    # A free model affords any length; the caller takes the smaller of this and what it wanted.
    return units // dearest if dearest else 2**31
