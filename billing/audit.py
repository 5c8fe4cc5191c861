"""Recompute every wallet from its rows and name each row that does not agree.

Other modules of billing add checks of their own rows with `register`.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import (
    BigIntegerField,
    Case,
    Exists,
    F,
    Model,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
    When,
    Window,
)
from django.db.models.functions import Coalesce, Greatest, Lag, Least

from billing.models import Capture, Draw, Entry, EntryKind, Hold, HoldStatus, Lot, LotKind, Wallet


@dataclass(frozen=True)
class Finding:
    """A row that does not agree with the others, `Wallet 7`, and how."""

    row: str
    problem: str


Check = Callable[[], Iterable[Finding]]
_more_checks: list[Check] = []


def register(check: Check) -> Check:
    """Add a check to every audit; usable as a decorator. It takes no locks, and money may move while it runs."""
    if check not in _more_checks:
        _more_checks.append(check)
    return check


def finding(row: Model, problem: str) -> Finding:
    """Name a row and what is wrong with it."""
    return Finding(f"{type(row).__name__} {row.pk}", problem)


def audit_ledger() -> Iterator[Finding]:
    """Yield what is wrong; nothing when the books are right.

    Each check is one statement, hence one snapshot: money may move while it runs. No lock is taken. The checks that
    other modules registered come last, in their own time.
    """
    yield from _balances()
    yield from _held()
    yield from _captures()
    yield from _missing_entries()
    yield from _entries_without_their_hold()
    yield from _broken_chains()
    yield from _lots_of_wallets()
    yield from _entries_without_a_lot()
    yield from _lots_unlike_their_entry()
    yield from _remainders()
    yield from _draws_of_entries()
    yield from _draws_from_others()
    yield from _forgotten_expiries()
    for check in _more_checks:
        yield from check()


def stale_holds(now: datetime) -> QuerySet[Hold]:
    """Open holds whose time was up before `now`: the sweep has not closed them. The longest overdue first."""
    return Hold.objects.filter(status=HoldStatus.OPEN, expires_at__lt=now).order_by("expires_at", "id")


def _balances() -> Iterator[Finding]:
    wallets = Wallet.objects.annotate(real_micro=_sum(Entry.objects, "wallet", "amount_micro"))
    for wallet in wallets.exclude(balance_micro=F("real_micro")):
        yield finding(wallet, f"balance_micro is {wallet.balance_micro}, its entries add up to {wallet.real_micro}")


def _held() -> Iterator[Finding]:
    open_holds = Hold.objects.filter(status=HoldStatus.OPEN)
    wallets = Wallet.objects.annotate(real_micro=_sum(open_holds, "wallet", "amount_micro"))
    for wallet in wallets.exclude(held_micro=F("real_micro")):
        yield finding(wallet, f"held_micro is {wallet.held_micro}, its open holds add up to {wallet.real_micro}")


def _captures() -> Iterator[Finding]:
    holds = Hold.objects.annotate(
        real_captured_micro=_sum(Capture.objects, "hold", "captured_micro"),
        real_uncollected_micro=_sum(Capture.objects, "hold", "uncollected_micro"),
    )
    for hold in holds.exclude(captured_micro=F("real_captured_micro"), uncollected_micro=F("real_uncollected_micro")):
        yield finding(
            hold,
            f"captured_micro is {hold.captured_micro} and uncollected_micro {hold.uncollected_micro}, its captures "
            f"add up to {hold.real_captured_micro} and {hold.real_uncollected_micro}",
        )


def _missing_entries() -> Iterator[Finding]:
    unpaid = Hold.objects.exclude(status=HoldStatus.OPEN).filter(captured_micro__gt=0, entry__isnull=True)
    for hold in unpaid:
        yield finding(hold, f"it is {hold.status} with {hold.captured_micro} captured and has no entry")


def _entries_without_their_hold() -> Iterator[Finding]:
    usage = Entry.objects.filter(kind=EntryKind.USAGE)
    agrees = Q(
        amount_micro=0 - F("hold__captured_micro"),
        hold_amount_micro=F("hold__amount_micro"),
        wallet=F("hold__wallet"),
    ) & ~Q(hold__status=HoldStatus.OPEN)
    for entry in usage.exclude(pk__in=usage.filter(agrees).values("pk")):
        yield finding(entry, f"its amount of {entry.amount_micro} is not what hold {entry.hold_id} was settled for")


def _broken_chains() -> Iterator[Finding]:
    previous = Window(Lag("balance_after_micro", default=Value(0)), partition_by="wallet", order_by="id")
    entries = Entry.objects.annotate(previous_micro=previous)
    for entry in entries.exclude(balance_before_micro=F("previous_micro")):
        yield finding(
            entry, f"it starts from {entry.balance_before_micro}, the entry before it ends at {entry.previous_micro}"
        )


def _lots_of_wallets() -> Iterator[Finding]:
    # A balance that is not the sum of its entries is named already: its lots are compared when it is right again.
    wallets = Wallet.objects.annotate(
        real_micro=_sum(Entry.objects, "wallet", "amount_micro"),
        in_lots_micro=_sum(Lot.objects, "wallet", "remaining_micro"),
    ).filter(balance_micro=F("real_micro"))
    for wallet in wallets.exclude(in_lots_micro=_at_least_nothing(F("balance_micro"))):
        yield finding(wallet, f"its lots add up to {wallet.in_lots_micro}, its balance is {wallet.balance_micro}")


def _entries_without_a_lot() -> Iterator[Finding]:
    for entry in Entry.objects.filter(amount_micro__gt=0, lot__isnull=True):
        yield finding(entry, f"it brought {entry.amount_micro} and has no lot")


def _lots_unlike_their_entry() -> Iterator[Finding]:
    purchased = Q(kind=LotKind.PURCHASED, entry__kind__in=[EntryKind.PURCHASE, EntryKind.REFUND, EntryKind.DISPUTE])
    granted = Q(kind=LotKind.GRANTED, entry__kind__in=[EntryKind.GRANT, EntryKind.ADJUSTMENT])
    agrees = (purchased | granted) & Q(amount_micro=F("entry__amount_micro"), wallet=F("entry__wallet"))
    for lot in Lot.objects.exclude(pk__in=Lot.objects.filter(agrees).values("pk")):
        yield finding(lot, f"{lot.amount_micro} {lot.kind} is not what entry {lot.entry_id} brought")


def _remainders() -> Iterator[Finding]:
    lots = Lot.objects.annotate(drawn_micro=_sum(Draw.objects, "lot", "amount_micro"))
    for lot in lots.exclude(remaining_micro=F("amount_micro") - F("drawn_micro")):
        left_micro = lot.amount_micro - lot.drawn_micro
        yield finding(lot, f"remaining_micro is {lot.remaining_micro}, its draws leave {left_micro}")


def _draws_of_entries() -> Iterator[Finding]:
    """What leaves a balance above zero is drawn, and what pays back one below zero; nothing else is."""
    above_micro = _at_least_nothing(F("balance_before_micro"))
    below_micro = _at_least_nothing(0 - F("balance_before_micro"))
    due = Case(
        When(amount_micro__lt=0, then=Least(0 - F("amount_micro"), above_micro, output_field=BigIntegerField())),
        default=Least(F("amount_micro"), below_micro, output_field=BigIntegerField()),
    )
    entries = Entry.objects.annotate(drawn_micro=_sum(Draw.objects, "entry", "amount_micro"), due_micro=due)
    for entry in entries.exclude(drawn_micro=F("due_micro")):
        yield finding(entry, f"its draws add up to {entry.drawn_micro} instead of {entry.due_micro}")


def _draws_from_others() -> Iterator[Finding]:
    for draw in Draw.objects.exclude(lot__wallet=F("entry__wallet")):
        yield finding(draw, f"entry {draw.entry_id} took {draw.amount_micro} of another wallet's lot {draw.lot_id}")


def _forgotten_expiries() -> Iterator[Finding]:
    earlier = Lot.objects.filter(
        Q(wallet__lots_expire_at__isnull=True) | Q(expires_at__lt=F("wallet__lots_expire_at")),
        wallet=OuterRef("pk"),
        remaining_micro__gt=0,
        expires_at__isnull=False,
    )
    for wallet in Wallet.objects.filter(Exists(earlier)):
        yield finding(wallet, f"lots_expire_at is {wallet.lots_expire_at}, some of its lots expire before")


def _at_least_nothing(amount_micro: Any) -> Greatest:
    return Greatest(amount_micro, Value(0), output_field=BigIntegerField())


def _sum(rows: Any, owner: str, amount: str) -> Coalesce:
    """The sum of `amount` over the rows that belong to the outer row; a subquery, since two joins would multiply."""
    mine = rows.filter(**{owner: OuterRef("pk")}).order_by().values(owner)
    total = mine.annotate(total_micro=Sum(amount)).values("total_micro")
    return Coalesce(Subquery(total, output_field=BigIntegerField()), 0)
