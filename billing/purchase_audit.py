"""What the audit asks of purchases: each credited once, each refund and dispute taken exactly while it stands."""

from collections.abc import Iterator
from itertools import islice
from uuid import UUID

from billing.audit import Finding, finding, register
from billing.models import Dispute, Entry, EntryKind, Purchase, Refund
from billing.models.purchase import DISPUTE_TAKEN, REFUND_TAKEN

BATCH = 500
_PURCHASE_KEY = "purchase:"

Row = Purchase | Refund | Dispute


@register
def audit_purchases() -> Iterator[Finding]:
    """Yield what moved another amount than it should have, and purchased credits that came from nowhere."""
    yield from _disagreeing(Purchase.objects.order_by("pk").iterator(BATCH))
    yield from _disagreeing(
        Refund.objects.exclude(stripe_refund_id=None).select_related("purchase").order_by("pk").iterator(BATCH)
    )
    yield from _disagreeing(Dispute.objects.select_related("purchase").order_by("pk").iterator(BATCH))
    yield from _from_nowhere()


def _disagreeing(rows: Iterator[Row]) -> Iterator[Finding]:
    while batch := list(islice(rows, BATCH)):
        moved = _moved_micro([key for row in batch for key in _keys_of(row)])
        for row in batch:
            # Read before its entries, with which it was written together: only news in between deceives.
            if _sum(moved, row) != _due_micro(row) and _is_still_wrong(row):
                due_micro, moved_micro = _due_micro(row), _sum(_moved_micro(_keys_of(row)), row)
                yield finding(row, f"it is {row.status}: {due_micro} are due, and its entries moved {moved_micro}")


def _is_still_wrong(row: Row) -> bool:
    row.refresh_from_db()
    return _sum(_moved_micro(_keys_of(row)), row) != _due_micro(row)


def _moved_micro(keys: list[str]) -> dict[tuple[str, UUID], int]:
    """What the entries with these keys moved, by key and organisation."""
    entries = Entry.objects.filter(key__in=keys).values_list("key", "wallet__organisation_id", "amount_micro")
    return {(key, organisation_id): amount_micro for key, organisation_id, amount_micro in entries}


def _sum(moved: dict[tuple[str, UUID], int], row: Row) -> int:
    organisation_id = row.organisation_id if isinstance(row, Purchase) else row.purchase.organisation_id
    return sum(moved.get((key, organisation_id), 0) for key in _keys_of(row))


def _keys_of(row: Row) -> list[str]:
    match row:
        case Purchase():
            return [row.reference]
        case Refund():
            key = f"stripe:re:{row.stripe_refund_id}"
        case Dispute():
            key = f"stripe:dp:{row.stripe_dispute_id}"
    return [key, f"{key}:returned"]


def _due_micro(row: Row) -> int:
    match row:
        case Purchase():
            return row.credits_micro if row.is_credited else 0
        case Refund():
            return -row.credits_micro if row.status in REFUND_TAKEN else 0
        case Dispute():
            return -row.credits_micro if row.status in DISPUTE_TAKEN else 0


def _from_nowhere() -> Iterator[Finding]:
    """Entries that say that a purchase brought them, when there is no such purchase."""
    entries = Entry.objects.filter(kind=EntryKind.PURCHASE, key__startswith=_PURCHASE_KEY).order_by("pk")
    every_entry = entries.iterator(chunk_size=BATCH)
    while batch := list(islice(every_entry, BATCH)):
        bought = {purchase.reference for purchase in Purchase.objects.filter(pk__in=_purchase_ids(batch))}
        for entry in batch:
            if entry.key not in bought:
                yield finding(entry, "no purchase brought these credits")


def _purchase_ids(entries: list[Entry]) -> list[UUID]:
    ids = []
    for entry in entries:
        try:
            ids.append(UUID(entry.key.removeprefix(_PURCHASE_KEY)))
        except ValueError:
            continue
    return ids
