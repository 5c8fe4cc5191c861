"""The meter of one live call: nothing is asked of a model before it is held, nothing it did goes unrecorded.

It remembers the hold as the database last showed it. A hold never shrinks while it is open, so a response that it
covers may be asked for without asking the ledger; and what was used is charged to the hold as it is remembered, in a
statement that finds nothing unless that is how it still is. Then, and whenever memory is not enough, all is read again.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import structlog
from django.utils import timezone

from billing import ledger
from voice.catalogue.on_offer import models_now
from voice.catalogue.rate_card import RateCard
from voice.catalogue.rates import Prices, prices_of_session, rate_card
from voice.metering.cover import Allowance, Covered, allowance_within, cover_next_response, needs_of, refuse_unpayable
from voice.metering.errors import OutOfCredit
from voice.metering.estimate import estimated_quantities
from voice.metering.executor import in_ledger_thread
from voice.metering.rating import RateMissing, Rating, rate
from voice.metering.receipt import Receipt
from voice.metering.records import Charge, Used, record_at_once, record_usage
from voice.metering.settlement import settle_session
from voice.metering.usage import Quantities, quantities_of_response, quantities_of_transcription, storable_usage
from voice.models import CatalogueModel, Session, UsageRecord

__all__ = ["Allowance", "Charge", "Meter", "OutOfCredit", "RateMissing", "Receipt"]

log = structlog.get_logger(__name__)

_NOTHING = Charge(0, 0, repeated=False)
_METERED = (
    *("organisation_id", "hold_id", "is_voice", "model_served", "transcribes_input"),
    *("captured_micro", "created_at"),
)
# The sweep closes the hold of a call that seems dead for a minute. What is remembered for longer than this is looked at
# again before a response is asked for, so that none is asked for on a hold that was closed.
_REMEMBERED_FOR_S = 30.0


@dataclass(frozen=True, slots=True)
class _Job:
    """A usage to be recorded by a card, and the future of whoever waits for its charge."""

    used: Used
    quantities: Quantities
    card: RateCard | None
    charge: asyncio.Future[Charge]


class Meter:
    """Made by `await Meter.open(session_id)`. One job at a time; every method may be repeated.

    Usages that are recorded at the same time share one transaction.
    """

    def __init__(self, session: Session, *, prices: Prices, priced_on: date, hold: ledger.HoldState | None) -> None:
        self._session_id, self._is_voice = session.id, session.is_voice
        self._prices = prices
        self._priced_on = priced_on
        self._used_micro = session.captured_micro
        self._hold: ledger.HoldState | None = None
        self._remembered_at = 0.0
        self._last_response: Quantities = {}
        # Of models that may come next, by what they are and whether they would be talked to.
        self._looked_at: dict[tuple[str, bool], Prices] = {}
        self._one_at_a_time = asyncio.Lock()
        self._jobs: list[_Job] = []
        self._recording: asyncio.Task[None] | None = None
        self._remember(hold)

    @classmethod
    async def open(cls, session_id: UUID) -> "Meter":
        """Read the session and its prices, which stay those of the day it was admitted.

        Raises RateMissing when something its models can report has no rate.
        """
        return await in_ledger_thread(_open_meter, session_id)

    async def change_model(self, slug: str, *, is_voice: bool) -> None:
        """Go on by the prices of another model, which are those of the day the session was admitted.

        Everything of the model before it must be on the books by then. `is_voice`: it is talked to. Raises RateMissing.
        """
        async with self._one_at_a_time:
            prices, self._looked_at = self._looked_at.get((slug, is_voice)), {}
            if prices is None:
                prices = await in_ledger_thread(_prices_with, self._session_id, slug, is_voice=is_voice)
            self._prices, self._is_voice = prices, is_voice
            # Nothing of the conversation is in its cache yet.
            self._last_response = {}

    async def refuse_unpayable(
        self, slug: str, *, is_voice: bool, context_tokens: int, wanted_output_tokens: int
    ) -> None:
        """Raise OutOfCredit where another model could not be paid even a short answer; RateMissing without its prices.

        What the model before it has used counts from when it is on the books.
        """
        async with self._one_at_a_time:
            self._looked_at[slug, is_voice] = await in_ledger_thread(
                _payable_prices,
                self._session_id,
                slug,
                is_voice=is_voice,
                context_tokens=context_tokens,
                wanted_output_tokens=wanted_output_tokens,
            )

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
            allowance = self._allowance_within(self._hold, context_tokens, wanted_output_tokens)
            if allowance and time.monotonic() - self._remembered_at <= _REMEMBERED_FOR_S:
                return allowance
            was_enough, self._hold = self._hold if allowance else None, None
            covered = await in_ledger_thread(self._cover, was_enough, context_tokens, wanted_output_tokens)
            self._remember(covered.hold)
            return covered.allowance

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
            self._hold = None
            return await in_ledger_thread(settle_session, self._session_id)

    async def _record(self, used: Used, quantities: Quantities, card: RateCard | None) -> Charge:
        charge: asyncio.Future[Charge] = asyncio.get_running_loop().create_future()
        self._jobs.append(_Job(used, quantities, card, charge))
        if self._recording is None:
            # A task of its own: whoever came first may be cancelled, the others' usage is recorded all the same.
            self._recording = asyncio.create_task(self._record_jobs())
        return await charge

    async def _record_jobs(self) -> None:
        async with self._one_at_a_time:
            while self._jobs:
                jobs, self._jobs = self._jobs, []
                try:
                    recorded = await in_ledger_thread(_record_all, self._session_id, self._hold, jobs, self._priced_on)
                except Exception as error:
                    # Each of those who wait decides for itself whether to try again.
                    self._hold = None
                    _answer(jobs, [error] * len(jobs))
                else:
                    self._remember(recorded.hold)
                    _answer(jobs, recorded.answers)
        self._recording = None

    def _remember(self, hold: ledger.HoldState | None) -> None:
        self._hold, self._remembered_at = hold, time.monotonic()
        if hold is not None:
            self._used_micro = hold.captured_micro

    def _allowance_within(
        self, hold: ledger.HoldState | None, context_tokens: int, wanted_output_tokens: int
    ) -> Allowance | None:
        if hold is None:
            return None
        needs = needs_of(self._prices, context_tokens, wanted_output_tokens, is_voice=self._is_voice)
        return allowance_within(hold, needs, wanted_output_tokens=wanted_output_tokens)

    def _cover(self, was_enough: ledger.HoldState | None, context_tokens: int, wanted_output_tokens: int) -> Covered:
        # Nearly always it still is, and one look without any lock tells.
        hold = ledger.hold_state(was_enough.id) if was_enough else None
        if hold and (allowance := self._allowance_within(hold, context_tokens, wanted_output_tokens)):
            return Covered(allowance, hold)
        return cover_next_response(
            self._session_id,
            self._prices,
            context_tokens=context_tokens,
            wanted_output_tokens=wanted_output_tokens,
        )


def _answer(jobs: Sequence[_Job], answers: Sequence[Charge | Exception]) -> None:
    for job, answer in zip(jobs, answers, strict=True):
        if job.charge.done():
            continue
        if isinstance(answer, Exception):
            job.charge.set_exception(answer)
        else:
            job.charge.set_result(answer)


def _open_meter(session_id: UUID) -> Meter:
    session = Session.objects.only(*_METERED).get(id=session_id)
    served = models_now().get(session.model_served)
    if served is None:
        raise RateMissing(session.model_served)
    priced_on = timezone.localdate(session.created_at)
    prices = prices_of_session(session, served, is_voice=session.is_voice)
    return Meter(session, prices=prices, priced_on=priced_on, hold=_hold_of(session))


def _prices_with(session_id: UUID, slug: str, *, is_voice: bool) -> Prices:
    served = CatalogueModel.objects.get(slug=slug)
    return prices_of_session(Session.objects.get(id=session_id), served, is_voice=is_voice)


def _payable_prices(
    session_id: UUID, slug: str, *, is_voice: bool, context_tokens: int, wanted_output_tokens: int
) -> Prices:
    prices = _prices_with(session_id, slug, is_voice=is_voice)
    refuse_unpayable(session_id, prices, context_tokens=context_tokens, wanted_output_tokens=wanted_output_tokens)
    return prices


def _hold_of(session: Session) -> ledger.HoldState | None:
    return None if session.hold_id is None else ledger.hold_state(session.hold_id)


@dataclass(frozen=True, slots=True)
class _Recorded:
    """What became of each job, and the hold as it then was (None: the session has none)."""

    answers: Sequence[Charge | Exception]
    hold: ledger.HoldState | None


def _record_all(session_id: UUID, hold: ledger.HoldState | None, jobs: Sequence[_Job], priced_on: date) -> _Recorded:
    """Rate and record. Usage that has no rate is kept, at nothing, and the missing rate is its answer."""
    ratings = [_rating_of(session_id, job, priced_on) for job in jobs]
    usages = [(job.used, rating) for job, (rating, _) in zip(jobs, ratings, strict=True)]
    if hold and (charged := record_at_once(session_id, hold, usages)):
        charges = [Charge(rating.total_micro, 0, repeated=False) for rating, _ in ratings]
    else:
        charges = [record_usage(session_id, used, rating) for used, rating in usages]
        charged = _hold_of(Session.objects.only("hold_id").get(id=session_id))
    answers = [missing or charge for (_, missing), charge in zip(ratings, charges, strict=True)]
    return _Recorded(answers, charged)


def _rating_of(session_id: UUID, job: _Job, priced_on: date) -> tuple[Rating, RateMissing | None]:
    try:
        return rate(job.quantities, _card_of(job.used.model_slug, job.card, priced_on)), None
    except RateMissing as missing:
        log.error("usage without a rate", session_id=str(session_id), model=missing.model_slug, kind=missing.kind)
        return Rating((), 0), missing


def _card_of(model_slug: str, usual: RateCard | None, priced_on: date) -> RateCard:
    """Return the prices of the model that was used; the call's usual ones for a name the catalogue does not know."""
    if usual and (usual.model_slug == model_slug or not CatalogueModel.objects.filter(slug=model_slug).exists()):
        return usual
    return rate_card(model_slug, priced_on)


def _id_of(value: Any) -> str:
    # Usage without an id cannot be told from a repeat; it is counted, because dropping it would be free service.
    return value if isinstance(value, str) and value else f"unnamed-{uuid4()}"
