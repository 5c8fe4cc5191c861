"""What a call cost, item by item: lines over all its usage that add up to what left the wallet."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from voice.models import Session, UsageRecord

_RESPONSE, _TRANSCRIPTION = UsageRecord.Source.RESPONSE, UsageRecord.Source.TRANSCRIPTION

# In the order they are shown: source, kind, label, unit.
_LABELS = (
    (_RESPONSE, "audio_in", "Speech heard", "tokens"),
    (_RESPONSE, "audio_cached_in", "Speech heard before, read again", "tokens"),
    (_RESPONSE, "audio_out", "Speech spoken", "tokens"),
    (_RESPONSE, "text_in", "Text read", "tokens"),
    (_RESPONSE, "text_cached_in", "Text read before, read again", "tokens"),
    (_RESPONSE, "text_out", "Text written", "tokens"),
    (_RESPONSE, "image_in", "Images seen", "tokens"),
    (_RESPONSE, "image_cached_in", "Images seen before, read again", "tokens"),
    (_RESPONSE, "seconds", "Time", "seconds"),
    (_RESPONSE, "characters", "Characters spoken", "characters"),
    (_TRANSCRIPTION, "audio_in", "Captions: speech heard", "tokens"),
    (_TRANSCRIPTION, "text_in", "Captions: text read", "tokens"),
    (_TRANSCRIPTION, "text_out", "Captions: text written", "tokens"),
    (_TRANSCRIPTION, "seconds", "Captions: speech heard", "seconds"),
)
_NOT_COLLECTED = "Beyond the credits held, not charged"


@dataclass(frozen=True, slots=True)
class ReceiptLine:
    label: str
    quantity: int
    unit: str
    amount_micro: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """`total_micro` is what left the wallet; usage that the hold did not cover is taken off by a line of its own."""

    lines: tuple[ReceiptLine, ...]
    total_micro: int
    uncollected_micro: int

    def as_dict(self) -> dict[str, Any]:
        """Return the `receipt` object of docs/widget-protocol.md."""
        return {
            "lines": [asdict(line) for line in self.lines],
            "total_micro": self.total_micro,
            "uncollected_micro": self.uncollected_micro,
        }


def receipt_of(session: Session) -> Receipt:
    return build_receipt(UsageRecord.objects.filter(session=session))


def build_receipt(records: Iterable[UsageRecord]) -> Receipt:
    quantities: dict[tuple[str, str], int] = {}
    amounts: dict[tuple[str, str], int] = {}
    captured_micro = uncollected_micro = 0
    for record in records:
        captured_micro += record.captured_micro
        uncollected_micro += record.uncollected_micro
        for line in record.lines:
            item = (record.source, line["kind"])
            quantities[item] = quantities.get(item, 0) + line["quantity"]
            amounts[item] = amounts.get(item, 0) + line["amount_micro"]
    lines = [
        ReceiptLine(label, quantities[source, kind], unit, amounts[source, kind])
        for source, kind, label, unit in _LABELS
        if (source, kind) in quantities
    ]
    if uncollected_micro:
        lines.append(ReceiptLine(_NOT_COLLECTED, 1, "correction", -uncollected_micro))
    return Receipt(tuple(lines), captured_micro, uncollected_micro)
