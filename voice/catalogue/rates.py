"""Rate cards from the database: which prices hold for a model on a day."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from django.utils import timezone

from voice.catalogue.moments import once_a_moment
from voice.catalogue.on_offer import offers_now
from voice.catalogue.rate_card import (
    UNITS_PER_RATE,
    Kind,
    RateCard,
    RateMissing,
    affordable_output_tokens,
    worst_case_micro,
)
from voice.models import CatalogueModel, Rate, Session
from voice.models.catalogue import ModelKind

__all__ = [
    "Prices",
    "RateCard",
    "RateMissing",
    "cards_of",
    "prices_now",
    "prices_of",
    "prices_of_session",
    "rate_card",
    "text_prices_of",
]

# Everything a realtime model's usage can name.
_REALTIME_KINDS = (
    Kind.TEXT_IN,
    Kind.TEXT_CACHED_IN,
    Kind.TEXT_OUT,
    Kind.AUDIO_IN,
    Kind.AUDIO_CACHED_IN,
    Kind.AUDIO_OUT,
)
_TEXT_KINDS = (Kind.TEXT_IN, Kind.TEXT_CACHED_IN, Kind.TEXT_OUT)
_IMAGE_KINDS = (Kind.IMAGE_IN, Kind.IMAGE_CACHED_IN)
_TOKEN_TRANSCRIPTION_KINDS = (Kind.TEXT_IN, Kind.AUDIO_IN, Kind.TEXT_OUT)

# A caller's turn is transcribed while its answer is made, so each response is covered together with a minute of speech
# being written down. A longer monologue's last seconds may end up uncollected, which is recorded.
_TRANSCRIBED_S = 60
_TRANSCRIBED_TOKENS_IN = 600
_TRANSCRIBED_TOKENS_OUT = 400


@dataclass(frozen=True, slots=True)
class Prices:
    """What a call is rated by: its responses, and the transcription of what the caller says (None: not done)."""

    response: RateCard
    transcription: RateCard | None

    @property
    def transcription_reserve_micro(self) -> int:
        card = self.transcription
        if card is None:
            return 0
        by_time_micro = -(-_TRANSCRIBED_S * card.micro_per_million.get(Kind.SECONDS, 0) // UNITS_PER_RATE)
        if Kind.TEXT_OUT not in card.micro_per_million:
            return by_time_micro
        by_tokens_micro = worst_case_micro(
            card, context_tokens=_TRANSCRIBED_TOKENS_IN, max_output_tokens=_TRANSCRIBED_TOKENS_OUT
        )
        return max(by_time_micro, by_tokens_micro)

    def worst_case_micro(self, *, context_tokens: int, max_output_tokens: int) -> int:
        """Return what must be held before a response starts."""
        response_micro = worst_case_micro(
            self.response, context_tokens=context_tokens, max_output_tokens=max_output_tokens
        )
        return response_micro + self.transcription_reserve_micro

    def affordable_output_tokens(self, *, context_tokens: int, budget_micro: int) -> int:
        """Return the longest response whose `worst_case_micro` fits the budget; 0 or less: none does."""
        return affordable_output_tokens(
            self.response,
            context_tokens=context_tokens,
            budget_micro=budget_micro - self.transcription_reserve_micro,
        )


def prices_of_session(session: Session, served: CatalogueModel, *, is_voice: bool) -> Prices:
    """Return what a session is rated by while `served` holds it, at the prices of the day it was admitted.

    Raises RateMissing, as `prices_of` does; a model that is only written to needs a price for its words alone.
    """
    on = timezone.localdate(session.created_at)
    if served.kind == ModelKind.CHAT:
        return _text_prices_now(served, on)
    return prices_now(served, on, session.organisation_id if is_voice and session.transcribes_input else None)


@once_a_moment
def _text_prices_now(served: CatalogueModel, on: date) -> Prices:
    return text_prices_of(served, on)


@once_a_moment
def prices_now(served: CatalogueModel, on: date, written_down_for: UUID | None) -> Prices:
    """Return what a call on `served` is rated by, as it was a moment ago. Raises RateMissing, as `prices_of` does.

    `written_down_for`: the organisation for which the caller's speech is written down; None: for nobody.
    """
    transcription = offers_now(written_down_for, on).transcription_of(served) if written_down_for else None
    return prices_of(served, transcription.slug if transcription else "", on)


def text_prices_of(served: CatalogueModel, on: date) -> Prices:
    """Return what a call is rated by that a text model holds. Raises RateMissing."""
    card = rate_card(served.slug, on)
    card.require(*_TEXT_KINDS)
    return Prices(card, None)


def rate_card(model_slug: str, on: date) -> RateCard:
    """Return the prices of a model, or of the one it is rated as. Raises RateMissing when there are none."""
    return _card_among(cards_of([model_slug], on), model_slug)


def cards_of(model_slugs: Collection[str], on: date) -> dict[str, RateCard]:
    """Return the prices of models as `rate_card` does, by their slugs; those without any are left out."""
    rated_as = CatalogueModel.objects.filter(slug__in=model_slugs).exclude(rated_as_slug="")
    rated = {slug: slug for slug in model_slugs} | dict(rated_as.values_list("slug", "rated_as_slug"))
    rates = Rate.objects.filter(model__slug__in=set(rated.values()), valid_from__lte=on).order_by("valid_from")
    # Later ones replace earlier ones. A kind that this version does not know cannot be measured either.
    prices: dict[str, dict[Kind, int]] = {}
    known = set(Kind)
    for slug, kind, micro_per_million in rates.values_list("model__slug", "kind", "micro_per_million"):
        if kind in known:
            prices.setdefault(slug, {})[Kind(kind)] = micro_per_million
    return {slug: RateCard(slug, prices[rated_slug]) for slug, rated_slug in rated.items() if rated_slug in prices}


def prices_of(served: CatalogueModel, transcription_slug: str, on: date) -> Prices:
    """Return what a call on `served` is rated by; `transcription_slug` "": the caller's speech is not written down.

    Raises RateMissing unless everything that the models can report has a rate: usage without a rate refuses the call.
    """
    cards = cards_of({served.slug, transcription_slug} - {""}, on)
    response = _card_among(cards, served.slug)
    response.require(*_REALTIME_KINDS)
    if served.sees_images:
        response.require(*_IMAGE_KINDS)
    if not transcription_slug:
        return Prices(response, None)
    transcription = _card_among(cards, transcription_slug)
    if Kind.SECONDS not in transcription.micro_per_million:
        transcription.require(*_TOKEN_TRANSCRIPTION_KINDS)
    return Prices(response, transcription)


def _card_among(cards: Mapping[str, RateCard], model_slug: str) -> RateCard:
    if model_slug not in cards:
        raise RateMissing(model_slug)
    return cards[model_slug]
