"""One call's receipt: what was measured, added up by kind, to the micro-credit."""

from collections.abc import Iterable
from dataclasses import dataclass

from voice.models import UsageRecord

_LABELS = {
    "text_in": "Text read",
    "text_cached_in": "Text read again",
    "text_out": "Text written",
    "audio_in": "Speech heard",
    "audio_cached_in": "Speech heard again",
    "audio_out": "Speech spoken",
    "image_in": "Images seen",
    "image_cached_in": "Images seen again",
    "seconds": "Seconds written down",
    "characters": "Characters spoken",
}


@dataclass(frozen=True, slots=True)
class ReceiptLine:
    model_slug: str
    kind: str
    quantity: int
    micro_per_million: int
    amount_micro: int

    @property
    def label(self) -> str:
        return _LABELS.get(self.kind, self.kind)


@dataclass(frozen=True, slots=True)
class CallReceipt:
    """`amount_micro` is the sum of the lines, and of captured and uncollected."""

    lines: list[ReceiptLine]
    amount_micro: int
    captured_micro: int
    uncollected_micro: int
    is_estimated: bool


def receipt_of(records: Iterable[UsageRecord]) -> CallReceipt:
    """Add up a call's usage rows; one line for each model, kind and rate."""
    sums: dict[tuple[str, str, int], tuple[int, int]] = {}
    kept = list(records)
    for record in kept:
        for line in record.lines:
            key = (record.model_slug, str(line["kind"]), int(line["micro_per_million"]))
            quantity, amount_micro = sums.get(key, (0, 0))
            sums[key] = (quantity + int(line["quantity"]), amount_micro + int(line["amount_micro"]))
    return CallReceipt(
        lines=[
            ReceiptLine(model_slug, kind, quantity, micro_per_million, amount_micro)
            for (model_slug, kind, micro_per_million), (quantity, amount_micro) in sums.items()
        ],
        amount_micro=sum(record.amount_micro for record in kept),
        captured_micro=sum(record.captured_micro for record in kept),
        uncollected_micro=sum(record.uncollected_micro for record in kept),
        is_estimated=any(record.is_estimated for record in kept),
    )
