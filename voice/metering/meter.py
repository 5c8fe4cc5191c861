"""The meter of one live call: nothing is asked of a model before it is held, nothing it did goes unrecorded."""

import asyncio
from collections.abc import Mapping
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import structlog
from django.utils import timezone

from voice.catalogue.on_offer import transcription_of
from voice.catalogue.rate_card import RateCard
from voice.catalogue.rates import Prices, prices_of, rate_card
from voice.metering.cover import Allowance, cover_next_response
from voice.metering.errors import OutOfCredit
from voice.metering.estimate import estimated_quantities
from voice.metering.executor import in_ledger_thread
from voice.metering.rating import RateMissing, Rating, rate
from voice.metering.receipt import Receipt
from voice.metering.records import Charge, Used, record_usage
from voice.metering.settlement import settle_session
from voice.metering.usage import Quantities, quantities_of_response, quantities_of_transcription, storable_usage
from voice.models import CatalogueModel, Session, UsageRecord

__all__ = ["Allowance", "Charge", "Meter", "OutOfCredit", "RateMissing", "Receipt"]

log = structlog.get_logger(__name__)

_NOTHING = Charge(0, 0, repeated=False)


class Meter:
    """Made by `await Meter.open(session_id)`. One job at a time; every method may be repeated."""

    def __init__(self, session_id: UUID, *, prices: Prices, priced_on: date, used_micro: int) -> None:
        self._session_id = session_id
        self._prices = prices
        self._priced_on = priced_on
        self._used_micro = used_micro
        self._last_response: Quantities = {}
        self._one_at_a_time = asyncio.Lock()

    @classmethod
    async def open(cls, session_id: UUID) -> "Meter":
        """Read the session and its prices, which stay those of the day it was admitted.

        Raises RateMissing when something its models can report has no rate.
        """
        return await in_ledger_thread(_open_meter, session_id)

    @property
    def used_micro(self) -> int:
        """Micro-credits captured so far."""
        return self._used_micro

    async def prepare_response(self, context_tokens: int, wanted_output_tokens: int) -> Allowance:
        """Hold the worst case of the next response and return how long it may be.

        `context_tokens` is an upper bound of what the model will read. Raises OutOfCredit when not even a short answer
        can be paid, LedgerError or DatabaseError when the ledger cannot tell: then nothing may be asked.
        """
        async with self._one_at_a_time:
            return await in_ledger_thread(
                cover_next_response,
                self._session_id,
                self._prices,
                context_tokens=context_tokens,
                wanted_output_tokens=wanted_output_tokens,
            )

    async def record_response(self, response: Mapping[str, Any], served_model: str) -> Charge:
        """Charge a `response.done`'s response. Raises RateMissing, after keeping the usage, if it cannot be priced."""
        usage = response.get("usage")
        quantities = quantities_of_response(usage)
        used = Used(
            UsageRecord.Source.RESPONSE, _id_of(response.get("id")), str(served_model)[:80], storable_usage(usage)
        )
        if quantities:
            self._last_response = quantities
        return await self._record(used, quantities, self._prices.response)

    async def record_transcription(self, item_id: str, usage: Mapping[str, Any] | None, model: str) -> Charge:
        """Charge what it cost to write down an item of the caller's speech. Raises as `record_response` does."""
        used = Used(UsageRecord.Source.TRANSCRIPTION, _id_of(item_id), str(model)[:80], storable_usage(usage))
        # A typed conversation has no transcription; should one be billed all the same, its model's own rates decide.
        return await self._record(used, quantities_of_transcription(usage), self._prices.transcription)

    async def record_estimate(
        self, response_id: str, *, context_tokens: int, audio_bytes: int, text_chars: int
    ) -> Charge:
        """Charge a response whose usage never came by what of it was delivered; nothing delivered costs nothing."""
        delivered = {"context_tokens": context_tokens, "audio_bytes": audio_bytes, "text_chars": text_chars}
        quantities = estimated_quantities(self._last_response, **delivered)
        if not quantities:
            return _NOTHING
        used = Used(
            UsageRecord.Source.RESPONSE,
            _id_of(response_id),
            self._prices.response.model_slug,
            delivered,
            is_estimated=True,
        )
        return await self._record(used, quantities, self._prices.response)

    async def settle(self) -> Receipt:
        """Close the call's hold and return what it cost. A repeat returns the same."""
        async with self._one_at_a_time:
            return await in_ledger_thread(settle_session, self._session_id)

    async def _record(self, used: Used, quantities: Quantities, card: RateCard | None) -> Charge:
        async with self._one_at_a_time:
            charge, unpriced = await in_ledger_thread(
                _record, self._session_id, used, quantities, card, self._priced_on
            )
        if not charge.repeated:
            self._used_micro += charge.captured_micro
        if unpriced:
            raise unpriced
        return charge


def _open_meter(session_id: UUID) -> Meter:
    session = Session.objects.get(id=session_id)
    served = CatalogueModel.objects.get(slug=session.model_served)
    priced_on = timezone.localdate(session.created_at)
    is_written_down = session.is_voice and session.transcribes_input
    transcription = transcription_of(served, priced_on) if is_written_down else None
    prices = prices_of(served, transcription.slug if transcription else "", priced_on)
    return Meter(session.id, prices=prices, priced_on=priced_on, used_micro=session.captured_micro)


def _record(
    session_id: UUID, used: Used, quantities: Quantities, card: RateCard | None, priced_on: date
) -> tuple[Charge, RateMissing | None]:
    """Rate and record. Usage that has no rate is kept, at nothing, and the missing rate returned beside it."""
    unpriced = None
    try:
        rating = rate(quantities, _card_of(used.model_slug, card, priced_on))
    except RateMissing as missing:
        log.error("usage without a rate", session_id=str(session_id), model=missing.model_slug, kind=missing.kind)
        rating, unpriced = Rating((), 0), missing
    return record_usage(session_id, used, rating), unpriced


def _card_of(model_slug: str, usual: RateCard | None, priced_on: date) -> RateCard:
    """Return the prices of the model that was used; the call's usual ones for a name the catalogue does not know."""
    if usual and (usual.model_slug == model_slug or not CatalogueModel.objects.filter(slug=model_slug).exists()):
        return usual
    return rate_card(model_slug, priced_on)


def _id_of(value: Any) -> str:
    # Usage without an id cannot be told from a repeat; it is counted, because dropping it would be free service.
    return value if isinstance(value, str) and value else f"unnamed-{uuid4()}"
