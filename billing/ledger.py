"""The only code that changes a wallet: entries, holds, captures and their settlement.

Amounts are integers in micro-credits (1 credit = 1 000 000). `available = balance - the full amount of every open
hold`, its captured part included: captures leave the balance alone, and closing the hold writes the one usage entry.
Which credits an entry brings or takes, granted or purchased, is kept as lots (billing.lots).

Every function owns its transaction (or joins the caller's), locks the wallet's row and then the hold's, checks, and
then takes; a capture, which moves nothing in the wallet, locks its hold alone. Everything is idempotent: a repeat with
the same key returns what the first call did, and the same key for something else raises KeyReused. Every error is a
LedgerError and leaves nothing changed.
"""

import operator
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from uuid import UUID

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Sum
from django.utils import timezone

from billing import lots, spending_cap
from billing.exceptions import (
    AmountOutOfRange,
    HoldClosed,
    HoldNotFound,
    InsufficientCredits,
    InvalidText,
    KeyReused,
    LedgerError,
    SpendingCapReached,
    WalletNotOpen,
)
from billing.models import Capture as CaptureRow
from billing.models import Entry, EntryKind, Hold, HoldStatus, Lot, Wallet
from billing.signals import cap_refused, credits_wanted, wallet_changed
from config import fixed_sql

MICRO = 1_000_000
# One movement, hold or capture: a billion credits, far above any real one and far below 64 bits.
MAX_AMOUNT_MICRO = 10**9 * MICRO
# A wallet, and the usage beyond one hold: sums stay within 64 bits even with one more movement on top.
MAX_TOTAL_MICRO = 10**12 * MICRO
MAX_KEY_CHARS = 200
MAX_REFERENCE_CHARS = 200
MAX_DESCRIPTION_CHARS = 300
MAX_ACTOR_CHARS = 254
MAX_ENTRIES = 200
# One sweep's work is bounded; the next sweep takes the rest.
MAX_EXPIRED_A_SWEEP = 500

EXPIRED_DESCRIPTION = "Settled from what was captured: the call did not end in order."
EXPIRY_DESCRIPTION = "Granted credits whose time was up"

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Balance:
    balance_micro: int
    held_micro: int

    @property
    def available_micro(self) -> int:
        return self.balance_micro - self.held_micro


@dataclass(frozen=True)
class Spendable:
    """What could be held now, and what sets that limit: the "wallet", or the month's "cap"."""

    amount_micro: int
    limit: Literal["wallet", "cap"]


@dataclass(frozen=True)
class HoldState:
    id: UUID
    amount_micro: int
    captured_micro: int
    uncollected_micro: int
    status: str

    @property
    def remaining_micro(self) -> int:
        return self.amount_micro - self.captured_micro


@dataclass(frozen=True)
class Capture:
    """What one charge took of its hold, what the hold did not cover, and whether it had been made before."""

    captured_micro: int
    uncollected_micro: int
    repeated: bool


@dataclass(frozen=True)
class EntryView:
    id: int
    kind: str
    amount_micro: int
    balance_after_micro: int
    reference: str
    description: str
    created_at: datetime


@dataclass(frozen=True)
class LotView:
    """Credits that came together: `kind` is granted or purchased, `remaining_micro` what is left of them."""

    id: int
    kind: str
    amount_micro: int
    remaining_micro: int
    expires_at: datetime | None
    reference: str
    created_at: datetime


def open_wallet(organisation_id: UUID) -> None:
    """Give the organisation an empty wallet unless it has one."""
    Wallet.objects.get_or_create(organisation_id=organisation_id)


def balance_of(organisation_id: UUID) -> Balance:
    """Return what the wallet holds now. Raises WalletNotOpen."""
    try:
        wallet = Wallet.objects.get(organisation_id=organisation_id)
    except Wallet.DoesNotExist:
        raise WalletNotOpen(organisation_id) from None
    return Balance(wallet.balance_micro, wallet.held_micro)


def spendable_of(organisation_id: UUID) -> Spendable:
    """Return how much a hold opened or extended now could take, zero or more. Raises WalletNotOpen.

    Not under a lock: the hold itself may still be refused when somebody else was faster.
    """
    try:
        wallet = Wallet.objects.get(organisation_id=organisation_id)
    except Wallet.DoesNotExist:
        raise WalletNotOpen(organisation_id) from None
    return _spendable(wallet)


def entries_of(organisation_id: UUID, *, limit: int, before: int | None = None) -> list[EntryView]:
    """Return at most `limit` (and MAX_ENTRIES) entries, newest first, older than the entry with the id `before`."""
    entries = Entry.objects.filter(wallet__organisation_id=organisation_id).order_by("-id")
    if before is not None:
        entries = entries.filter(id__lt=before)
    return [_entry_view(entry) for entry in entries[: max(0, min(limit, MAX_ENTRIES))]]


def lots_of(organisation_id: UUID) -> list[LotView]:
    """Return the lots with something left, in the order in which they will be spent.

    They add up to the balance, or to nothing when that is below zero.
    """
    wallet_id = Wallet.objects.filter(organisation_id=organisation_id).values_list("pk", flat=True).first()
    return [] if wallet_id is None else [_lot_view(lot) for lot in lots.spendable(wallet_id)]


def spent_since(organisation_id: UUID, since: datetime) -> int:
    """Return what calls have used since then: the usage entries, and what open holds have captured up to now."""
    usage = Entry.objects.filter(
        wallet__organisation_id=organisation_id, kind=EntryKind.USAGE, created_at__gte=since
    ).aggregate(total=Sum("amount_micro"))
    # Captured before or after: its entry is still to come, and will count in full when it does.
    live = Hold.objects.filter(wallet__organisation_id=organisation_id, status=HoldStatus.OPEN).aggregate(
        total=Sum("captured_micro")
    )
    return (live["total"] or 0) - (usage["total"] or 0)


def count_open_holds(older_than: datetime) -> int:
    """Count the holds, of all wallets, that were opened before then and are still open."""
    return Hold.objects.filter(status=HoldStatus.OPEN, created_at__lt=older_than).count()


def grant(
    organisation_id: UUID,
    amount_micro: int,
    *,
    key: str,
    description: str,
    expires_at: datetime | None = None,
    actor: str = "",
) -> EntryView:
    """Give credits (positive), which are gone at `expires_at` if one is named; `actor` is who gave them by hand.

    A repeat keeps the first expiry. Raises WalletNotOpen, KeyReused, AmountOutOfRange, InvalidText.
    """
    _check_amount(amount_micro, least=1)
    _check_text("actor", actor, MAX_ACTOR_CHARS)
    return _post(
        organisation_id,
        EntryKind.GRANT,
        amount_micro,
        key=key,
        description=description,
        actor=actor,
        expires_at=expires_at,
    )


def purchase(organisation_id: UUID, amount_micro: int, *, key: str, reference: str, description: str) -> EntryView:
    """Add bought credits (positive). Raises as `grant` does."""
    _check_amount(amount_micro, least=1)
    return _post(
        organisation_id, EntryKind.PURCHASE, amount_micro, key=key, reference=reference, description=description
    )


def claw_back(
    organisation_id: UUID,
    amount_micro: int,
    *,
    kind: Literal["refund", "dispute"],
    key: str,
    reference: str,
    description: str,
) -> EntryView:
    """Take back what was paid back or is disputed (positive): first what is left of the purchase with `reference`.

    Then other purchases, oldest first, then granted credits; the money has left already, so then the balance goes below
    zero. Raises as `grant` does, and ValueError for another kind.
    """
    _check_amount(amount_micro, least=1)
    return _post(
        organisation_id, _clawed_back(kind), -amount_micro, key=key, reference=reference, description=description
    )


def give_back(
    organisation_id: UUID,
    amount_micro: int,
    *,
    kind: Literal["refund", "dispute"],
    key: str,
    reference: str,
    description: str,
) -> EntryView:
    """Return (positive) what was clawed back when the refund failed or the dispute was won; raises as `claw_back`.

    They are purchased credits again, of the purchase with `reference`.
    """
    _check_amount(amount_micro, least=1)
    return _post(
        organisation_id, _clawed_back(kind), amount_micro, key=key, reference=reference, description=description
    )


def adjust(organisation_id: UUID, amount_micro: int, *, key: str, reason: str, actor: str) -> EntryView:
    """Correct a wallet by hand (signed, not zero): `actor` is who did it. The balance may go below zero.

    What is added is granted credit without an expiry; what is taken comes from where usage would take it.

    Raises WalletNotOpen, KeyReused, AmountOutOfRange, and InvalidText without a reason or an actor.
    """
    _check_text("reason", reason, MAX_DESCRIPTION_CHARS, least=1)
    _check_text("actor", actor, MAX_ACTOR_CHARS, least=1)
    return _post(organisation_id, EntryKind.ADJUSTMENT, amount_micro, key=key, description=reason, actor=actor)


def open_hold(organisation_id: UUID, amount_micro: int, *, key: str, reference: str, expires_at: datetime) -> HoldState:
    """Set credits (positive) aside until they are settled or `expires_at` has passed.

    A repeat returns the same hold in whatever state it is now. Raises InsufficientCredits, which is also told by
    `signals.credits_wanted` (SpendingCapReached, which is not, when the credits are there but the month's cap is in the
    way), WalletNotOpen, KeyReused, AmountOutOfRange, InvalidText.
    """
    _check_amount(amount_micro, least=1)
    _check_text("key", key, MAX_KEY_CHARS, least=1)
    _check_text("reference", reference, MAX_REFERENCE_CHARS)
    with _claiming(Hold, key):
        wallet = _lock_wallet(organisation_id)
        hold = Hold.objects.filter(key=key).first()
        if hold is not None:
            first = (hold.wallet_id, hold.opened_amount_micro, hold.reference)
            if first != (wallet.pk, amount_micro, reference):
                raise KeyReused(key)
            return _hold_state(hold)
        now = timezone.now()
        try:
            available_after_micro = _set_aside(wallet, amount_micro, _spendable_now(wallet, now))
        except SpendingCapReached:
            raise
        except InsufficientCredits:
            # A call that cannot begin is the last chance to refill: no call will ever ask for more.
            credits_wanted.send_robust(Hold, organisation_id=organisation_id, needed_micro=amount_micro)
            raise
        hold = Hold.objects.create(
            wallet=wallet,
            key=key,
            reference=reference,
            opened_amount_micro=amount_micro,
            amount_micro=amount_micro,
            available_after_micro=available_after_micro,
            created_at=now,
            expires_at=expires_at,
        )
        return _hold_state(hold)


def extend_hold(hold_id: UUID, *, to_amount_micro: int, expires_at: datetime | None = None) -> HoldState:
    """Raise an open hold to `to_amount_micro` in all, and its expiry to `expires_at`; neither ever shrinks.

    Raises InsufficientCredits (SpendingCapReached), HoldClosed, HoldNotFound, AmountOutOfRange.
    """
    _check_amount(to_amount_micro, least=1)
    with transaction.atomic():
        extended = extend_hold_by_plan(hold_id, lambda hold, spendable: to_amount_micro)
        if expires_at is not None:
            Hold.objects.filter(id=hold_id, expires_at__lt=expires_at).update(expires_at=expires_at)
        return extended


def extend_hold_by_plan(hold_id: UUID, plan: Callable[[HoldState, Spendable], int]) -> HoldState:
    """Raise an open hold to what `plan` answers, in all; it never shrinks.

    `plan` is asked under the locks, of the hold and of what could be held beside it: what it is told still stands when
    its answer is taken, so nobody needs to look, and perhaps to look again. Raises as `extend_hold` does, and what
    `plan` raises; either spoils the caller's transaction.
    """
    with transaction.atomic(savepoint=False):
        wallet, hold = _lock_open_hold(hold_id)
        spendable = _spendable_now(wallet, timezone.now())
        to_amount_micro = plan(_hold_state(hold), spendable)
        _check_amount(to_amount_micro, least=1)
        if to_amount_micro > hold.amount_micro:
            _raise_hold(wallet, hold, to_amount_micro, spendable)
            hold.save(update_fields=["amount_micro", "available_after_micro"])
        return _hold_state(hold)


def capture(hold_id: UUID, amount_micro: int, *, key: str) -> Capture:
    """Charge used credits (zero or more) to an open hold; what it no longer covers is recorded as uncollected.

    `key` is unique within the hold: a repeat changes nothing, also after the hold was closed. Raises HoldClosed,
    HoldNotFound, KeyReused, AmountOutOfRange, InvalidText.
    """
    _check_amount(amount_micro, least=0)
    _check_text("key", key, MAX_KEY_CHARS, least=1)
    with transaction.atomic():
        hold = _lock_hold_alone(hold_id)
        made = CaptureRow.objects.filter(hold=hold, key=key).first()
        if made is not None:
            if made.amount_micro != amount_micro:
                raise KeyReused(key)
            return Capture(made.captured_micro, made.uncollected_micro, repeated=True)
        if not hold.is_open:
            raise HoldClosed(hold_id, hold.status)
        captured_micro = min(amount_micro, hold.remaining_micro)
        uncollected_micro = amount_micro - captured_micro
        _check_total(hold.uncollected_micro + uncollected_micro)
        CaptureRow.objects.create(
            hold=hold,
            key=key,
            amount_micro=amount_micro,
            captured_micro=captured_micro,
            uncollected_micro=uncollected_micro,
        )
        hold.captured_micro += captured_micro
        hold.uncollected_micro += uncollected_micro
        hold.save(update_fields=["captured_micro", "uncollected_micro"])
        return Capture(captured_micro, uncollected_micro, repeated=False)


def capture_as_known(known: HoldState, charges: Mapping[str, int]) -> HoldState | None:
    """Charge new amounts (zero or more, by key) to a hold that is still as `known`, open, and covers them all.

    Returns the hold as it then is; None, with nothing changed, when it is not as known or does not cover them: then
    `capture` can tell. For the turns of live calls, whose holds nearly always are as known. Raises AmountOutOfRange,
    InvalidText, and for a key used before IntegrityError, which spoils the caller's transaction.
    """
    for key, amount_micro in charges.items():
        _check_amount(amount_micro, least=0)
        _check_text("key", key, MAX_KEY_CHARS, least=1)
    captured_micro = known.captured_micro + sum(charges.values())
    if known.status != HoldStatus.OPEN or captured_micro > known.amount_micro:
        return None
    with transaction.atomic(savepoint=False):
        # One statement finds the hold as it was known, locks it and charges it. Where somebody else has changed it
        # since, were it by a micro-credit, it finds nothing.
        as_known = {
            "id": known.id,
            "status": HoldStatus.OPEN,
            "amount_micro": known.amount_micro,
            "captured_micro": known.captured_micro,
        }
        if not fixed_sql.update(Hold, as_known, put={"captured_micro": captured_micro}):
            return None
        fixed_sql.insert(
            [
                CaptureRow(
                    hold_id=known.id,
                    key=key,
                    amount_micro=amount_micro,
                    captured_micro=amount_micro,
                    uncollected_micro=0,
                )
                for key, amount_micro in charges.items()
            ]
        )
    return replace(known, captured_micro=captured_micro)


def settle_hold(hold_id: UUID, *, description: str = "") -> HoldState:
    """Close a hold: write the one usage entry if anything was captured, and free the rest.

    A repeat, also after an expiry, returns the state as it is. Raises HoldNotFound, InvalidText.
    """
    _check_text("description", description, MAX_DESCRIPTION_CHARS)
    with transaction.atomic():
        wallet, hold = _lock_hold(hold_id)
        if hold.is_open:
            status = HoldStatus.CAPTURED if hold.captured_micro else HoldStatus.RELEASED
            _close(wallet, hold, status, description)
        return _hold_state(hold)


def release_hold(hold_id: UUID) -> HoldState:
    """Give back a hold that was not used; one that was used is settled instead, so that no usage is lost.

    Raises HoldNotFound.
    """
    return settle_hold(hold_id)


def expire_holds(now: datetime) -> list[HoldState]:
    """Close the open holds whose time was up at `now`, each in its own transaction: settled from its captures.

    Returns those closed, oldest first, at most MAX_EXPIRED_A_SWEEP. One that fails is logged and left for the next
    sweep, so that a broken row cannot keep the others open.
    """
    due = Hold.objects.filter(status=HoldStatus.OPEN, expires_at__lte=now).order_by("expires_at", "id")
    closed = []
    for hold_id in list(due.values_list("id", flat=True)[:MAX_EXPIRED_A_SWEEP]):
        try:
            state = _expire(hold_id, now)
        except (IntegrityError, LedgerError) as error:
            log.error("hold_not_expired", hold_id=str(hold_id), error=type(error).__name__)
            continue
        if state is not None:
            closed.append(state)
    return closed


def expire_granted_credits(now: datetime) -> list[EntryView]:
    """Write off the granted credits whose time was up at `now`, each wallet in its own transaction.

    What open holds were promised stays until they are closed. Returns the entries; at most MAX_EXPIRED_A_SWEEP wallets
    are looked at, those without holds first, since the others may have to be looked at again. One that fails is logged
    and left for the next sweep.
    """
    due = Wallet.objects.filter(lots_expire_at__lte=now).order_by("held_micro", "lots_expire_at", "pk")
    written_off = []
    for organisation_id in list(due.values_list("organisation_id", flat=True)[:MAX_EXPIRED_A_SWEEP]):
        try:
            with transaction.atomic():
                written_off += _write_off_expired(_lock_wallet(organisation_id), now)
        except (IntegrityError, LedgerError) as error:
            log.error("granted_credits_not_expired", organisation_id=str(organisation_id), error=type(error).__name__)
    return [_entry_view(entry) for entry in written_off]


def hold_state(hold_id: UUID) -> HoldState:
    """Return the hold as it is now. Raises HoldNotFound."""
    try:
        return _hold_state(Hold.objects.get(id=hold_id))
    except Hold.DoesNotExist:
        raise HoldNotFound(hold_id) from None


def _lock_wallet(organisation_id: UUID) -> Wallet:
    # SQLite has no row locks: its transactions are IMMEDIATE instead (billing.checks insists), so writers take turns.
    try:
        return Wallet.objects.select_for_update().get(organisation_id=organisation_id)
    except Wallet.DoesNotExist:
        raise WalletNotOpen(organisation_id) from None


def _lock_hold(hold_id: UUID) -> tuple[Wallet, Hold]:
    """Lock the hold's wallet, and only then the hold: whoever locks both does it in this order."""
    try:
        wallet = Wallet.objects.select_for_update(of=("self",)).get(holds__id=hold_id)
    except Wallet.DoesNotExist:
        raise HoldNotFound(hold_id) from None
    return wallet, _lock_hold_alone(hold_id)


def _lock_open_hold(hold_id: UUID) -> tuple[Wallet, Hold]:
    wallet, hold = _lock_hold(hold_id)
    if not hold.is_open:
        raise HoldClosed(hold_id, hold.status)
    return wallet, hold


def _lock_hold_alone(hold_id: UUID) -> Hold:
    try:
        return Hold.objects.select_for_update(no_key=True).get(id=hold_id)
    except Hold.DoesNotExist:
        raise HoldNotFound(hold_id) from None


def _post(
    organisation_id: UUID,
    kind: EntryKind,
    amount_micro: int,
    *,
    key: str,
    reference: str = "",
    description: str = "",
    actor: str = "",
    expires_at: datetime | None = None,
) -> EntryView:
    """Write one entry that is not usage, or return the one that this key wrote before."""
    _check_amount(abs(amount_micro), least=1)
    _check_text("key", key, MAX_KEY_CHARS, least=1)
    _check_text("reference", reference, MAX_REFERENCE_CHARS)
    _check_text("description", description, MAX_DESCRIPTION_CHARS)
    with _claiming(Entry, key):
        wallet = _lock_wallet(organisation_id)
        made = Entry.objects.filter(key=key).first()
        if made is not None:
            if (made.wallet_id, made.kind, made.amount_micro) != (wallet.pk, kind, amount_micro):
                raise KeyReused(key)
            return _entry_view(made)
        entry = Entry(
            wallet=wallet, kind=kind, key=key, amount_micro=amount_micro, reference=reference, description=description
        )
        entry.actor = actor
        _apply(wallet, entry)
        if amount_micro > 0:
            lots.add(entry, expires_at)
            _expect_expiry(wallet, expires_at)
        else:
            lots.take(entry)
        return _entry_view(entry)


@contextmanager
def _claiming(rows: type[Entry] | type[Hold], key: str) -> Iterator[None]:
    """A transaction that writes a row of this key; raises KeyReused when another wallet was the first to.

    Two wallets that race for one key wait for different locks; the unique index lets one of them in.
    """
    try:
        with transaction.atomic():
            yield
    except IntegrityError:
        if rows.objects.filter(key=key).exists():
            raise KeyReused(key) from None
        raise


def _clawed_back(kind: str) -> EntryKind:
    if kind not in (EntryKind.REFUND, EntryKind.DISPUTE):
        raise ValueError(f"Credits are clawed back for a refund or a dispute, not for {kind!r}.")
    return EntryKind(kind)


def _apply(wallet: Wallet, entry: Entry) -> None:
    """Move the locked wallet by the entry and write both; the caller moves the lots."""
    entry.balance_before_micro = wallet.balance_micro
    wallet.balance_micro += entry.amount_micro
    _check_total(wallet.balance_micro)
    entry.balance_after_micro = wallet.balance_micro
    entry.held_after_micro = wallet.held_micro
    entry.save()
    _save_wallet(wallet)


def _expect_expiry(wallet: Wallet, expires_at: datetime | None) -> None:
    if expires_at is not None and (wallet.lots_expire_at is None or expires_at < wallet.lots_expire_at):
        wallet.lots_expire_at = expires_at
        wallet.save(update_fields=["lots_expire_at"])


def _write_off_expired(wallet: Wallet, now: datetime) -> list[Entry]:
    """Take granted credits whose time is up from the locked wallet; costs nothing when there are none."""
    if wallet.lots_expire_at is None or wallet.lots_expire_at > now:
        return []
    written_off = []
    for lot, part_micro in lots.expired_parts(wallet, now):
        entry = Entry(
            wallet=wallet,
            kind=EntryKind.EXPIRY,
            # What is left of a lot only falls, so each of its parts has a key of its own.
            key=f"expiry:{lot.pk}:{lot.remaining_micro}",
            amount_micro=-part_micro,
            reference=lot.reference,
            description=EXPIRY_DESCRIPTION,
        )
        _apply(wallet, entry)
        lots.take_from(lot, entry)
        written_off.append(entry)
    wallet.lots_expire_at = lots.next_expiry(wallet)
    wallet.save(update_fields=["lots_expire_at"])
    return written_off


def _spendable(wallet: Wallet) -> Spendable:
    available_micro = max(0, wallet.available_micro)
    allowed_micro = spending_cap.remaining_this_month_micro(wallet)
    if allowed_micro is not None and allowed_micro < available_micro:
        return Spendable(allowed_micro, "cap")
    return Spendable(available_micro, "wallet")


def _spendable_now(wallet: Wallet, now: datetime) -> Spendable:
    """Return what could be held of the locked wallet, without the granted credits whose time is up."""
    _write_off_expired(wallet, now)
    return _spendable(wallet)


def _raise_hold(wallet: Wallet, hold: Hold, to_amount_micro: int, spendable: Spendable) -> None:
    """Hold more of the locked wallet; the caller saves the hold."""
    hold.available_after_micro = _set_aside(wallet, to_amount_micro - hold.amount_micro, spendable)
    hold.amount_micro = to_amount_micro


def _set_aside(wallet: Wallet, amount_micro: int, spendable: Spendable) -> int:
    """Hold so much more of the locked wallet, of which so much is spendable, and return what is left available."""
    if amount_micro > wallet.available_micro:
        raise InsufficientCredits(available_micro=wallet.available_micro, needed_micro=amount_micro)
    if amount_micro > spendable.amount_micro:
        cap_refused.send_robust(Wallet, organisation_id=wallet.organisation_id)
        raise SpendingCapReached(available_micro=spendable.amount_micro, needed_micro=amount_micro)
    wallet.held_micro += amount_micro
    _save_wallet(wallet)
    return wallet.available_micro


def _close(wallet: Wallet, hold: Hold, status: HoldStatus, description: str) -> None:
    hold.status = status
    hold.settled_at = timezone.now()
    hold.save(update_fields=["status", "settled_at"])
    wallet.held_micro -= hold.amount_micro
    if not hold.captured_micro:
        _save_wallet(wallet)
        return
    entry = Entry(
        wallet=wallet,
        kind=EntryKind.USAGE,
        key=f"hold:{hold.id}",
        amount_micro=-hold.captured_micro,
        hold=hold,
        hold_amount_micro=hold.amount_micro,
        reference=hold.reference,
        description=description,
    )
    _apply(wallet, entry)
    lots.take(entry)


def _expire(hold_id: UUID, now: datetime) -> HoldState | None:
    with transaction.atomic():
        wallet, hold = _lock_hold(hold_id)
        # Settled or extended by its own process between the sweep's look and the lock: not ours any more.
        if not hold.is_open or hold.expires_at > now:
            return None
        _close(wallet, hold, HoldStatus.EXPIRED, EXPIRED_DESCRIPTION)
        return _hold_state(hold)


def _save_wallet(wallet: Wallet) -> None:
    wallet.save(update_fields=["balance_micro", "held_micro"])
    organisation_id = wallet.organisation_id
    transaction.on_commit(lambda: _announce(organisation_id), robust=True)


def _announce(organisation_id: UUID) -> None:
    wallet_changed.send_robust(sender=Wallet, organisation_id=organisation_id)


def _check_amount(amount_micro: int, *, least: int) -> None:
    # operator.index refuses floats and Decimals, which a database would round without a word.
    if not least <= operator.index(amount_micro) <= MAX_AMOUNT_MICRO:
        raise AmountOutOfRange(amount_micro)


def _check_total(total_micro: int) -> None:
    if abs(total_micro) > MAX_TOTAL_MICRO:
        raise AmountOutOfRange(total_micro)


def _check_text(field: str, text: str, most: int, *, least: int = 0) -> None:
    # One printable line: PostgreSQL refuses NUL, and keys may carry ids that came from a provider.
    if not least <= len(text.strip()) <= len(text) <= most or not text.isprintable():
        raise InvalidText(field)


def _hold_state(hold: Hold) -> HoldState:
    return HoldState(hold.id, hold.amount_micro, hold.captured_micro, hold.uncollected_micro, str(hold.status))


def _entry_view(entry: Entry) -> EntryView:
    return EntryView(
        entry.id,
        str(entry.kind),
        entry.amount_micro,
        entry.balance_after_micro,
        entry.reference,
        entry.description,
        entry.created_at,
    )


def _lot_view(lot: Lot) -> LotView:
    return LotView(
        lot.pk, str(lot.kind), lot.amount_micro, lot.remaining_micro, lot.expires_at, lot.reference, lot.created_at
    )
