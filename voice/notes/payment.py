"""What a note costs: held before it is asked for, charged once with the note itself, and never for a bad answer."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.utils import timezone

from billing import ledger
from billing.exceptions import HoldClosed
from voice.catalogue.rate_card import Kind, RateCard
from voice.catalogue.rates import rate_card
from voice.metering.rating import Rating, rate, worst_case_micro
from voice.metering.usage import storable_usage
from voice.models import CatalogueModel, Note

# Longer than a worker may live (task_time_limit in config/celery.py): what a killed one held is free again after it.
_HELD_FOR = timedelta(minutes=15)
# A provider that reports more than this is mistaken, and the sums stay small.
_TOKENS_MAX = 10_000_000


def card_of(model: CatalogueModel, on: date) -> RateCard:
    """Return the prices of a model that writes notes. Raises RateMissing unless text has them all."""
    card = rate_card(model.slug, on)
    card.require(Kind.TEXT_IN, Kind.TEXT_CACHED_IN, Kind.TEXT_OUT)
    return card


def hold(note: Note, card: RateCard, *, tokens_in: int, tokens_out_max: int) -> None:
    """Hold what one answer can cost, in the caller's transaction; the note is saved by the caller.

    A new one each time: what a killed worker left expires by itself. Raises LedgerError (InsufficientCredits).
    """
    note.paid_by = settings.NOTES_PAID_BY
    note.hold_id = None
    amount_micro = worst_case_micro(card, context_tokens=tokens_in, max_output_tokens=tokens_out_max)
    if note.paid_by == "operator" or not amount_micro:
        return
    opened = ledger.open_hold(
        note.organisation_id,
        amount_micro,
        key=f"{note.reference}:{uuid4()}",
        reference=note.reference,
        expires_at=timezone.now() + _HELD_FOR,
    )
    note.hold_id = opened.id


def release(note: Note) -> None:
    """Free what is held for the note, unless it was charged: then this changes nothing."""
    if note.hold_id is not None:
        ledger.release_hold(note.hold_id)


def add_cost(note: Note, model: CatalogueModel, card: RateCard, reported: Mapping[str, Any]) -> Rating:
    """Write what an answer used and cost on the note, which the caller saves; nothing is charged yet."""
    rating = rate(_quantities(reported), card)
    lines = [
        {
            "kind": line.kind.value,
            "quantity": line.quantity,
            "micro_per_million": line.micro_per_million,
            "amount_micro": line.amount_micro,
        }
        for line in rating.lines
    ]
    note.usage = [
        *note.usage,
        {
            "model_slug": model.slug,
            "usage": storable_usage(reported),
            "lines": lines,
            "amount_micro": rating.total_micro,
        },
    ]
    note.cost_micro += rating.total_micro
    return rating


def charge(note: Note, rating: Rating, description: str) -> None:
    """Charge the answer that became the note, once, in the transaction that stores it.

    What the hold does not cover, because the provider counted more than we estimated, is the operator's loss.
    """
    if note.hold_id is None:
        return
    try:
        capture = ledger.capture(note.hold_id, rating.total_micro, key=f"{note.reference}:answer")
    except HoldClosed:
        # Swept because this worker was believed dead. The note stands; its cost is not collected.
        return
    ledger.settle_hold(note.hold_id, description=description)
    note.charged_micro = capture.captured_micro


def _quantities(reported: Mapping[str, Any]) -> dict[Kind, int]:
    """Count a chat completion's usage; cached tokens are part of the prompt's, reasoning of the completion's."""
    details = reported.get("prompt_tokens_details")
    read = _count(reported.get("prompt_tokens"))
    cached = min(read, _count(details.get("cached_tokens")) if isinstance(details, Mapping) else 0)
    counted = {
        Kind.TEXT_IN: read - cached,
        Kind.TEXT_CACHED_IN: cached,
        Kind.TEXT_OUT: _count(reported.get("completion_tokens")),
    }
    return {kind: quantity for kind, quantity in counted.items() if quantity}


def _count(value: Any) -> int:
    return min(value, _TOKENS_MAX) if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
