"""The only code that changes a wallet: entries, holds, captures and their settlement.

Amounts are integers in micro-credits (1 credit = 1 000 000). `available = balance - the full amount of every open
hold`, its captured part included: captures leave the balance alone, and closing the hold writes the one usage entry.

Every function owns its transaction (or joins the caller's), locks the wallet's row, checks, and then takes. Everything
is idempotent: a repeat with the same key returns what the first call did, and the same key for something else raises
KeyReused. Every error is a LedgerError and leaves nothing changed.
"""

import operator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

import structlog
from django.db import IntegrityError, transaction
from django.utils import timezone

from billing.exceptions import (
    AmountOutOfRange,
    HoldClosed,
    HoldNotFound,
    InsufficientCredits,
    InvalidText,
    KeyReused,
    LedgerError,
    WalletNotOpen,
)
from billing.models import Capture as CaptureRow
from billing.models import Entry, EntryKind, Hold, HoldStatus, Wallet
from billing.signals import wallet_changed

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

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Balance:
    balance_micro: int
    held_micro: int

    @property
    def available_micro(self) -> int:
        return self.balance_micro - self.held_micro


@dataclass(frozen=True)
class HoldState:
    id: UUID
    amount_micro: int
    captured_micro: int
    uncollected_micro: int
    status: str


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


def entries_of(organisation_id: UUID, *, limit: int, before: int | None = None) -> list[EntryView]:
    """Return at most `limit` (and MAX_ENTRIES) entries, newest first, older than the entry with the id `before`."""
    entries = Entry.objects.filter(wallet__organisation_id=organisation_id).order_by("-id")
    if before is not None:
        entries = entries.filter(id__lt=before)
    return [_entry_view(entry) for entry in entries[: max(0, min(limit, MAX_ENTRIES))]]


def grant(organisation_id: UUID, amount_micro: int, *, key: str, description: str) -> EntryView:
    """Give credits (positive). Raises WalletNotOpen, KeyReused, AmountOutOfRange, InvalidText."""
    _check_amount(amount_micro, least=1)
    return _post(organisation_id, EntryKind.GRANT, amount_micro, key=key, description=description)


def purchase(organisation_id: UUID, amount_micro: int, *, key: str, reference: str, description: str) -> EntryView:
    """Add bought credits (positive). Raises as `grant` does."""
    _check_amount(amount_micro, least=1)
    return _post(
        organisation_id, EntryKind.PURCHASE, amount_micro, key=key, reference=reference, description=description
    )


def refund(organisation_id: UUID, amount_micro: int, *, key: str, reference: str, description: str) -> EntryView:
    """Take back refunded credits (negative), or return them when the refund failed (positive).

    The money has left already, so the balance may go below zero. Raises as `grant` does.
    """
    return _post(organisation_id, EntryKind.REFUND, amount_micro, key=key, reference=reference, description=description)


def dispute(organisation_id: UUID, amount_micro: int, *, key: str, reference: str, description: str) -> EntryView:
    """Take back disputed credits (negative), or return them when the dispute is won (positive); as `refund`."""
    return _post(
        organisation_id, EntryKind.DISPUTE, amount_micro, key=key, reference=reference, description=description
    )


def adjust(organisation_id: UUID, amount_micro: int, *, key: str, reason: str, actor: str) -> EntryView:
    """Correct a wallet by hand (signed, not zero): `actor` is who did it. The balance may go below zero.

    Raises WalletNotOpen, KeyReused, AmountOutOfRange, and InvalidText without a reason or an actor.
    """
    _check_text("reason", reason, MAX_DESCRIPTION_CHARS, least=1)
    _check_text("actor", actor, MAX_ACTOR_CHARS, least=1)
    return _post(organisation_id, EntryKind.ADJUSTMENT, amount_micro, key=key, description=reason, actor=actor)


def open_hold(organisation_id: UUID, amount_micro: int, *, key: str, reference: str, expires_at: datetime) -> HoldState:
    """Set credits (positive) aside until they are settled or `expires_at` has passed.

    A repeat returns the same hold in whatever state it is now. Raises InsufficientCredits, WalletNotOpen, KeyReused,
    AmountOutOfRange, InvalidText.
    """
    _check_amount(amount_micro, least=1)
    _check_text("key", key, MAX_KEY_CHARS, least=1)
    _check_text("reference", reference, MAX_REFERENCE_CHARS)
    with transaction.atomic():
        wallet = _lock_wallet(organisation_id)
        hold = Hold.objects.filter(key=key).first()
        if hold is not None:
            first = (hold.wallet_id, hold.opened_amount_micro, hold.reference)
            if first != (wallet.pk, amount_micro, reference):
                raise KeyReused(key)
            return _hold_state(hold)
        available_after_micro = _set_aside(wallet, amount_micro)
        hold = Hold.objects.create(
            wallet=wallet,
            key=key,
            reference=reference,
            opened_amount_micro=amount_micro,
            amount_micro=amount_micro,
            available_after_micro=available_after_micro,
            expires_at=expires_at,
        )
        return _hold_state(hold)


def extend_hold(hold_id: UUID, *, to_amount_micro: int, expires_at: datetime | None = None) -> HoldState:
    """Raise an open hold to `to_amount_micro` in all, and its expiry to `expires_at`; neither ever shrinks.

    Raises InsufficientCredits, HoldClosed, HoldNotFound, AmountOutOfRange.
    """
    _check_amount(to_amount_micro, least=1)
    with transaction.atomic():
        wallet, hold = _lock_hold(hold_id)
        if not hold.is_open:
            raise HoldClosed(hold_id, hold.status)
        if to_amount_micro > hold.amount_micro:
            hold.available_after_micro = _set_aside(wallet, to_amount_micro - hold.amount_micro)
            hold.amount_micro = to_amount_micro
        if expires_at is not None:
            hold.expires_at = max(hold.expires_at, expires_at)
        hold.save(update_fields=["amount_micro", "available_after_micro", "expires_at"])
        return _hold_state(hold)


def capture(hold_id: UUID, amount_micro: int, *, key: str) -> Capture:
    """Charge used credits (zero or more) to an open hold; what it no longer covers is recorded as uncollected.

    `key` is unique within the hold: a repeat changes nothing, also after the hold was closed. Raises HoldClosed,
    HoldNotFound, KeyReused, AmountOutOfRange, InvalidText.
    """
    _check_amount(amount_micro, least=0)
    _check_text("key", key, MAX_KEY_CHARS, least=1)
    with transaction.atomic():
        _, hold = _lock_hold(hold_id)
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
    """Lock the hold's wallet, and only then read the hold: what was read before the lock may be stale."""
    try:
        wallet = Wallet.objects.select_for_update(of=("self",)).get(holds__id=hold_id)
    except Wallet.DoesNotExist:
        raise HoldNotFound(hold_id) from None
    return wallet, Hold.objects.get(id=hold_id)


def _post(
    organisation_id: UUID,
    kind: EntryKind,
    amount_micro: int,
    *,
    key: str,
    reference: str = "",
    description: str = "",
    actor: str = "",
) -> EntryView:
    """Write one entry that is not usage, or return the one that this key wrote before."""
    _check_amount(abs(amount_micro), least=1)
    _check_text("key", key, MAX_KEY_CHARS, least=1)
    _check_text("reference", reference, MAX_REFERENCE_CHARS)
    _check_text("description", description, MAX_DESCRIPTION_CHARS)
    with transaction.atomic():
        wallet = _lock_wallet(organisation_id)
        # Two wallets that race for one key: the unique index lets one of them in and raises for the other.
        made = Entry.objects.filter(key=key).first()
        if made is not None:
            if (made.wallet_id, made.kind, made.amount_micro) != (wallet.pk, kind, amount_micro):
                raise KeyReused(key)
            return _entry_view(made)
        entry = Entry(
            wallet=wallet, kind=kind, key=key, amount_micro=amount_micro, reference=reference, description=description
        )
        entry.actor = actor
        return _entry_view(_apply(wallet, entry))


def _apply(wallet: Wallet, entry: Entry) -> Entry:
    """Move the locked wallet by the entry and write both."""
    entry.balance_before_micro = wallet.balance_micro
    wallet.balance_micro += entry.amount_micro
    _check_total(wallet.balance_micro)
    entry.balance_after_micro = wallet.balance_micro
    entry.held_after_micro = wallet.held_micro
    entry.save()
    _save_wallet(wallet)
    return entry


def _set_aside(wallet: Wallet, amount_micro: int) -> int:
    """Hold so much more of the locked wallet and return what is left available."""
    if amount_micro > wallet.available_micro:
        raise InsufficientCredits(available_micro=wallet.available_micro, needed_micro=amount_micro)
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
    _apply(
        wallet,
        Entry(
            wallet=wallet,
            kind=EntryKind.USAGE,
            key=f"hold:{hold.id}",
            amount_micro=-hold.captured_micro,
            hold=hold,
            hold_amount_micro=hold.amount_micro,
            reference=hold.reference,
            description=description,
        ),
    )


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
    announce = partial(wallet_changed.send_robust, sender=Wallet, organisation_id=wallet.organisation_id)
    transaction.on_commit(announce, robust=True)


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
