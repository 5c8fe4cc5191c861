"""What a call must have cost, worked out from the price sheet and from nothing the product computed."""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any
from uuid import UUID

from billing import ledger
from billing.audit import audit_ledger
from billing.models import Capture, Entry, Hold
from voice.models import Session, SessionState, UsageRecord

# Micro-credits a token of gpt-realtime-mini, as which the embedded model is billed. Text and everything cached: the
# list price in dollars a million, a hundred credits a dollar, and 35 %; fresh audio: the published round price.
TEXT_IN, TEXT_CACHED, TEXT_OUT = Fraction("0.60") * 135, Fraction("0.06") * 135, Fraction("2.40") * 135
AUDIO_IN, AUDIO_CACHED, AUDIO_OUT = Fraction(1500), Fraction("0.30") * 135, Fraction(3000)
CAPTION_IN, CAPTION_OUT = Fraction("1.25") * 135, Fraction("5") * 135


def response_micro(usage: dict[str, Any]) -> int:
    """Return what a response with this usage costs."""
    read, cached = usage["input_token_details"], usage["input_token_details"]["cached_tokens_details"]
    said = usage["output_token_details"]
    return math.ceil(
        (read["text_tokens"] - cached["text_tokens"]) * TEXT_IN
        + cached["text_tokens"] * TEXT_CACHED
        + (read["audio_tokens"] - cached["audio_tokens"]) * AUDIO_IN
        + cached["audio_tokens"] * AUDIO_CACHED
        + said["text_tokens"] * TEXT_OUT
        + said["audio_tokens"] * AUDIO_OUT
    )


def caption_micro(usage: dict[str, Any]) -> int:
    return math.ceil(usage["input_tokens"] * CAPTION_IN + usage["output_tokens"] * CAPTION_OUT)


@dataclass(frozen=True)
class Books:
    """Everything that was written down about a call and its money."""

    session: Session
    usage: list[UsageRecord]
    entries: list[Entry]
    hold: Hold | None
    balance: ledger.Balance

    @property
    def cost_micro(self) -> int:
        return self.session.captured_micro


def closed_books(session_id: UUID | str) -> Books:
    """Return the books of a call that is over, after checking that they are closed and agree to the micro-credit."""
    books = read_books(session_id)
    assert books.session.state == SessionState.ENDED
    assert books.session.end_reason
    assert books.hold is None or not books.hold.is_open
    captured_micro = sum(row.captured_micro for row in books.usage)
    assert books.cost_micro == captured_micro
    assert [entry.amount_micro for entry in books.entries] == ([-captured_micro] if captured_micro else [])
    if books.hold:
        captures = Capture.objects.filter(hold=books.hold)
        assert sorted(row.captured_micro for row in captures) == sorted(row.captured_micro for row in books.usage)
        assert books.hold.captured_micro == captured_micro <= books.hold.amount_micro
    assert all(sum(line["amount_micro"] for line in row.lines) == row.amount_micro for row in books.usage)
    assert list(audit_ledger()) == []
    assert books.balance.balance_micro >= 0
    return books


def read_books(session_id: UUID | str) -> Books:
    session = Session.objects.get(id=session_id)
    return Books(
        session=session,
        usage=list(UsageRecord.objects.filter(session=session)),
        entries=list(Entry.objects.filter(reference=session.reference, kind="usage")),
        hold=Hold.objects.filter(id=session.hold_id).first() if session.hold_id else None,
        balance=ledger.balance_of(session.organisation_id),
    )


def only_session() -> UUID:
    return Session.objects.get().id
