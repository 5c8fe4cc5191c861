"""Which credits a movement brings or takes. Only billing.ledger calls this, under the wallet's lock.

Usage and adjustments spend granted lots first, what expires first before the rest, and then the purchased, oldest
first. What is clawed back comes from the purchase concerned, then from the other purchases, and then from the granted.
"""

from collections.abc import Iterable
from datetime import datetime

from django.db.models import F, Min, QuerySet

from billing.models import Draw, Entry, EntryKind, HoldStatus, Lot, LotKind, Wallet

# What a positive entry of each kind brings. Money that comes back is the customer's own; a correction is a gift.
_KINDS = {
    EntryKind.GRANT: LotKind.GRANTED,
    EntryKind.ADJUSTMENT: LotKind.GRANTED,
    EntryKind.PURCHASE: LotKind.PURCHASED,
    EntryKind.REFUND: LotKind.PURCHASED,
    EntryKind.DISPUTE: LotKind.PURCHASED,
}
_CLAWED_BACK = (EntryKind.REFUND, EntryKind.DISPUTE)


def add(entry: Entry, expires_at: datetime | None) -> Lot:
    """Keep what a positive entry brought as a lot, less what it paid back of a balance below zero."""
    debt_micro = min(entry.amount_micro, max(0, -entry.balance_before_micro))
    lot = Lot.objects.create(
        wallet_id=entry.wallet_id,
        kind=_KINDS[EntryKind(entry.kind)],
        entry=entry,
        amount_micro=entry.amount_micro,
        remaining_micro=entry.amount_micro,
        expires_at=expires_at,
        reference=entry.reference,
        created_at=entry.created_at,
    )
    _draw(entry, [lot], debt_micro)
    return lot


def take(entry: Entry) -> None:
    """Draw a negative entry from its wallet's lots, as far as the balance was above zero."""
    unspent: Iterable[Lot] = spendable(entry.wallet_id)
    if entry.kind in _CLAWED_BACK:
        unspent = sorted(unspent, key=lambda lot: _clawing_order(lot, entry.reference))
    _draw(entry, unspent, min(-entry.amount_micro, max(0, entry.balance_before_micro)))


def take_from(lot: Lot, entry: Entry) -> None:
    """Draw a negative entry, which is no larger than what is left of the lot, from this lot alone."""
    _draw(entry, [lot], -entry.amount_micro)


def expired_parts(wallet: Wallet, now: datetime) -> list[tuple[Lot, int]]:
    """Return each granted lot whose time is up with what of it may be written off now, if anything.

    A call that began before a lot expired was promised its credits, which would have been spent first, and keeps as
    many as are held for it. Nothing takes what is available below zero, whatever a refund left.
    """
    holds = list(wallet.holds.filter(status=HoldStatus.OPEN).values_list("created_at", "amount_micro"))
    kept_micro, free_micro = 0, max(0, wallet.available_micro)
    parts = []
    for lot in spendable(wallet.pk).filter(expires_at__lte=now):
        promised_micro = sum(amount_micro for began_at, amount_micro in holds if _was_promised(lot, began_at))
        keep_micro = min(lot.remaining_micro, max(0, promised_micro - kept_micro))
        kept_micro += keep_micro
        part_micro = min(lot.remaining_micro - keep_micro, free_micro)
        free_micro -= part_micro
        if part_micro:
            parts.append((lot, part_micro))
    return parts


def _was_promised(lot: Lot, began_at: datetime) -> bool:
    return lot.expires_at is None or began_at < lot.expires_at


def next_expiry(wallet: Wallet) -> datetime | None:
    """When the first of the granted credits that are left expires."""
    first = spendable(wallet.pk).aggregate(first=Min("expires_at"))
    expires_at: datetime | None = first["first"]
    return expires_at


def spendable(wallet_id: int) -> QuerySet[Lot]:
    """Return the lots with something left, in the order in which usage spends them."""
    unspent = Lot.objects.filter(wallet_id=wallet_id, remaining_micro__gt=0)
    # By the alphabet, granted comes before purchased.
    return unspent.order_by("kind", F("expires_at").asc(nulls_last=True), "pk")


def _clawing_order(lot: Lot, reference: str) -> tuple[bool, bool]:
    return lot.kind != LotKind.PURCHASED, lot.reference != reference


def _draw(entry: Entry, lots: Iterable[Lot], amount_micro: int) -> None:
    draws = []
    for lot in lots:
        part_micro = min(lot.remaining_micro, amount_micro)
        if not part_micro:
            break
        amount_micro -= part_micro
        lot.remaining_micro -= part_micro
        lot.save(update_fields=["remaining_micro"])
        draws.append(Draw(lot=lot, entry=entry, amount_micro=part_micro))
    Draw.objects.bulk_create(draws)
