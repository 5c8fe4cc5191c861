"""Recompute every wallet from its rows and name each row that does not agree."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import BigIntegerField, F, Model, OuterRef, Q, Subquery, Sum, Value, Window
from django.db.models.functions import Coalesce, Lag

from billing.models import Capture, Entry, EntryKind, Hold, HoldStatus, Wallet


@dataclass(frozen=True)
class Finding:
    """A row that does not agree with the others, `Wallet 7`, and how."""

    row: str
    problem: str


def audit_ledger() -> Iterator[Finding]:
    """Yield what is wrong; nothing when the books are right.

    Each check is one statement, hence one snapshot: money may move while it runs. No lock is taken.
    """
    yield from _balances()
    yield from _held()
    yield from _captures()
    yield from _missing_entries()
    yield from _entries_without_their_hold()
    yield from _broken_chains()


def _balances() -> Iterator[Finding]:
    wallets = Wallet.objects.annotate(real_micro=_sum(Entry.objects, "wallet", "amount_micro"))
    for wallet in wallets.exclude(balance_micro=F("real_micro")):
        yield _finding(wallet, f"balance_micro is {wallet.balance_micro}, its entries add up to {wallet.real_micro}")


def _held() -> Iterator[Finding]:
    open_holds = Hold.objects.filter(status=HoldStatus.OPEN)
    wallets = Wallet.objects.annotate(real_micro=_sum(open_holds, "wallet", "amount_micro"))
    for wallet in wallets.exclude(held_micro=F("real_micro")):
        yield _finding(wallet, f"held_micro is {wallet.held_micro}, its open holds add up to {wallet.real_micro}")


def _captures() -> Iterator[Finding]:
    holds = Hold.objects.annotate(
        real_captured_micro=_sum(Capture.objects, "hold", "captured_micro"),
        real_uncollected_micro=_sum(Capture.objects, "hold", "uncollected_micro"),
    )
    for hold in holds.exclude(captured_micro=F("real_captured_micro"), uncollected_micro=F("real_uncollected_micro")):
        yield _finding(
            hold,
            f"captured_micro is {hold.captured_micro} and uncollected_micro {hold.uncollected_micro}, its captures "
            f"add up to {hold.real_captured_micro} and {hold.real_uncollected_micro}",
        )


def _missing_entries() -> Iterator[Finding]:
    unpaid = Hold.objects.exclude(status=HoldStatus.OPEN).filter(captured_micro__gt=0, entry__isnull=True)
    for hold in unpaid:
        yield _finding(hold, f"it is {hold.status} with {hold.captured_micro} captured and has no entry")


def _entries_without_their_hold() -> Iterator[Finding]:
    usage = Entry.objects.filter(kind=EntryKind.USAGE)
    agrees = Q(
        amount_micro=0 - F("hold__captured_micro"),
        hold_amount_micro=F("hold__amount_micro"),
        wallet=F("hold__wallet"),
    ) & ~Q(hold__status=HoldStatus.OPEN)
    for entry in usage.exclude(pk__in=usage.filter(agrees).values("pk")):
        yield _finding(entry, f"its amount of {entry.amount_micro} is not what hold {entry.hold_id} was settled for")


def _broken_chains() -> Iterator[Finding]:
    previous = Window(Lag("balance_after_micro", default=Value(0)), partition_by="wallet", order_by="id")
    entries = Entry.objects.annotate(previous_micro=previous)
    for entry in entries.exclude(balance_before_micro=F("previous_micro")):
        yield _finding(
            entry, f"it starts from {entry.balance_before_micro}, the entry before it ends at {entry.previous_micro}"
        )


def _sum(rows: Any, owner: str, amount: str) -> Coalesce:
    """The sum of `amount` over the rows that belong to the outer row; a subquery, since two joins would multiply."""
    mine = rows.filter(**{owner: OuterRef("pk")}).order_by().values(owner)
    total = mine.annotate(total_micro=Sum(amount)).values("total_micro")
    return Coalesce(Subquery(total, output_field=BigIntegerField()), 0)


def _finding(row: Model, problem: str) -> Finding:
    return Finding(f"{type(row).__name__} {row.pk}", problem)
