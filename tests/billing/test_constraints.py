"""What the database itself refuses, whoever asks: rows written past the ledger."""

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError

from billing import ledger
from billing.exceptions import AppendOnly
from billing.models import Capture, Draw, Entry, Hold, Lot, SignUpDay, SignUpGrant, Wallet
from tests.billing.money import LATER, NOON, a_key, hold

pytestmark = [pytest.mark.django_db, pytest.mark.each_database]


@pytest.fixture
def wallet(alice):
    return Wallet.objects.get(organisation=alice)


@pytest.fixture
def open_hold(alice):
    return Hold.objects.get(id=hold(alice, 60).id)


def an_entry(wallet, **fields):
    amount_micro = fields.get("amount_micro", 5)
    return Entry(
        **{
            "wallet": wallet,
            "kind": "grant",
            "key": a_key(),
            "amount_micro": amount_micro,
            "balance_before_micro": 100,
            "balance_after_micro": 100 + amount_micro,
            "held_after_micro": 0,
        }
        | fields
    )


def refused(write, constraint):
    """SQLite and PostgreSQL both name the constraint that refused."""
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        write()
    return True


@pytest.mark.parametrize(
    ("fields", "constraint"),
    [
        ({"kind": "refund", "amount_micro": 0}, "entry_moves_something"),
        ({"kind": "gift"}, "entry_kind_known"),
        ({"key": ""}, "entry_has_key"),
        ({"balance_after_micro": 104}, "entry_adds_up"),
        ({"held_after_micro": -1}, "entry_held_not_negative"),
        ({"amount_micro": -5}, "entry_grant_or_purchase_is_positive"),
        ({"kind": "purchase", "amount_micro": -5}, "entry_grant_or_purchase_is_positive"),
        ({"kind": "adjustment"}, "entry_adjustment_has_a_reason"),
        ({"kind": "usage", "amount_micro": -5}, "entry_usage_is_within_its_hold"),
        ({"hold_amount_micro": 60}, "entry_usage_is_within_its_hold"),
        ({"kind": "expiry"}, "entry_expiry_leaves_what_is_held"),
        ({"kind": "expiry", "amount_micro": -5, "held_after_micro": 96}, "entry_expiry_leaves_what_is_held"),
    ],
)
def test_an_entry_that_makes_no_sense_is_refused(wallet, fields, constraint):
    assert refused(an_entry(wallet, **fields).save, constraint)


@pytest.mark.parametrize(
    "fields",
    [
        {"amount_micro": -61, "hold_amount_micro": 60},
        {"amount_micro": 5, "hold_amount_micro": 60},
        {"amount_micro": -5, "hold_amount_micro": None},
        {"amount_micro": 5, "hold_amount_micro": 60, "kind": "grant"},
    ],
)
def test_usage_is_negative_and_at_most_what_its_hold_set_aside(wallet, open_hold, fields):
    entry = an_entry(wallet, **{"kind": "usage", "hold": open_hold} | fields)
    assert refused(entry.save, "entry_usage_is_within_its_hold")


def test_a_hold_is_paid_by_one_entry_only(wallet, open_hold):
    ledger.capture(open_hold.id, 5, key="r1")
    ledger.settle_hold(open_hold.id)
    again = an_entry(wallet, kind="usage", amount_micro=-5, hold=open_hold, hold_amount_micro=60)
    assert refused(again.save, "hold_id")


def test_an_entrys_key_is_unique(wallet):
    key = Entry.objects.get().key
    assert refused(an_entry(wallet, key=key).save, "key")


@pytest.mark.parametrize(
    ("fields", "constraint"),
    [
        ({"captured_micro": 61}, "hold_captured_within_amount"),
        ({"captured_micro": -1}, "hold_captured_within_amount"),
        ({"uncollected_micro": -1}, "hold_uncollected_not_negative"),
        ({"available_after_micro": -1}, "hold_never_overdraws"),
        ({"amount_micro": 59}, "hold_never_shrinks"),
        ({"opened_amount_micro": 0}, "hold_amount_positive"),
        ({"key": ""}, "hold_has_key"),
        ({"status": "released"}, "hold_status_fits"),
        ({"status": "lost", "settled_at": NOON}, "hold_status_fits"),
        ({"settled_at": NOON}, "hold_status_fits"),
        ({"status": "captured", "settled_at": NOON}, "hold_status_fits"),
        ({"status": "released", "settled_at": NOON, "captured_micro": 1}, "hold_status_fits"),
    ],
)
def test_a_hold_that_makes_no_sense_is_refused(open_hold, fields, constraint):
    assert refused(lambda: Hold.objects.filter(id=open_hold.id).update(**fields), constraint)


def test_a_hold_that_overdraws_is_refused_when_it_is_opened_past_the_ledger(wallet):
    overdraft = Hold(
        wallet=wallet, key="h", opened_amount_micro=101, amount_micro=101, available_after_micro=-1, expires_at=LATER
    )
    assert refused(overdraft.save, "hold_never_overdraws")


@pytest.mark.parametrize(
    ("fields", "constraint"),
    [
        ({"remaining_micro": 101}, "lot_remaining_within_amount"),
        ({"remaining_micro": -1}, "lot_remaining_within_amount"),
        ({"amount_micro": 0, "remaining_micro": 0}, "lot_amount_positive"),
        ({"kind": "borrowed"}, "lot_kind_known"),
        ({"kind": "purchased", "expires_at": NOON}, "lot_purchased_never_expires"),
    ],
)
def test_a_lot_that_makes_no_sense_is_refused(wallet, fields, constraint):
    assert refused(lambda: Lot.objects.filter(wallet=wallet).update(**fields), constraint)


def test_an_entry_brings_one_lot(wallet):
    lot = Lot.objects.get(wallet=wallet)
    again = Lot(wallet=wallet, kind="granted", entry=lot.entry, amount_micro=5, remaining_micro=5)
    assert refused(again.save, "entry_id")


def test_an_entry_draws_from_a_lot_once_and_something(wallet):
    entry = ledger.claw_back(wallet.organisation_id, 5, kind="refund", key="r", reference="", description="")
    lot = Lot.objects.get(wallet=wallet)
    assert refused(Draw(lot=lot, entry_id=entry.id, amount_micro=5).save, "one_draw|lot_id")
    assert refused(Draw(lot=lot, entry_id=lot.entry_id, amount_micro=0).save, "draw_amount_positive")


def test_a_wallet_never_holds_less_than_nothing(wallet):
    assert refused(lambda: Wallet.objects.filter(pk=wallet.pk).update(held_micro=-1), "wallet_held_not_negative")


@pytest.mark.parametrize(
    ("captured_micro", "uncollected_micro", "constraint"),
    [(4, 0, "capture_adds_up"), (6, -1, "capture_parts_not_negative"), (-1, 6, "capture_parts_not_negative")],
)
def test_a_captures_parts_add_up(open_hold, captured_micro, uncollected_micro, constraint):
    capture = Capture(
        hold=open_hold, key="r1", amount_micro=5, captured_micro=captured_micro, uncollected_micro=uncollected_micro
    )
    assert refused(capture.save, constraint)


def test_a_captures_key_is_unique_within_its_hold(open_hold):
    ledger.capture(open_hold.id, 5, key="r1")
    again = Capture(hold=open_hold, key="r1", amount_micro=5, captured_micro=5, uncollected_micro=0)
    assert refused(again.save, "one_capture_a_key|hold_id")


@pytest.mark.parametrize(
    "fields",
    [{"status": "granted"}, {"amount_micro": 5}, {"status": "granted", "amount_micro": 5}, {"granted_at": NOON}],
)
def test_a_sign_up_grant_is_either_refused_or_granted_with_an_amount(alice, fields):
    row = SignUpGrant(person_key="p", organisation_id=alice.id, **fields)
    assert refused(row.save, "sign_up_grant_status_fits_amount")


def test_a_day_never_granted_less_than_nothing():
    assert refused(SignUpDay(day=NOON.date(), granted_micro=-1).save, "sign_up_day_not_negative")


@pytest.mark.parametrize(
    "change",
    [
        lambda: Entry.objects.get().save(),
        lambda: Entry.objects.get().delete(),
        lambda: Entry.objects.update(amount_micro=1),
        lambda: Entry.objects.all().delete(),
        lambda: Entry.objects.bulk_update([Entry.objects.get()], ["amount_micro"]),
        lambda: Entry.objects.update_or_create(key=Entry.objects.get().key, defaults={"amount_micro": 1}),
    ],
)
def test_a_written_entry_is_never_changed_or_deleted(alice, change):
    with pytest.raises(AppendOnly), transaction.atomic():
        change()
    assert Entry.objects.get().amount_micro == 100


@pytest.mark.parametrize(
    "change",
    [
        lambda: Capture.objects.get().save(),
        lambda: Capture.objects.get().delete(),
        lambda: Capture.objects.update(amount_micro=1),
        lambda: Capture.objects.all().delete(),
    ],
)
def test_a_written_capture_is_never_changed_or_deleted(open_hold, change):
    ledger.capture(open_hold.id, 5, key="r1")
    with pytest.raises(AppendOnly), transaction.atomic():
        change()


def test_a_new_entry_cannot_take_an_old_ones_place(wallet):
    assert refused(an_entry(wallet, id=Entry.objects.get().id).save, "id|pkey")


def test_an_organisation_with_a_wallet_and_a_wallet_with_entries_are_never_deleted(alice, wallet):
    for row in (alice, wallet):
        with pytest.raises(ProtectedError):
            row.delete()


def test_amounts_are_sixty_four_bits_wide(wallet):
    """The largest sum the ledger allows, one movement beyond it included, fits the columns."""
    most_micro = ledger.MAX_TOTAL_MICRO + ledger.MAX_AMOUNT_MICRO
    assert most_micro < 2**63
    Wallet.objects.filter(pk=wallet.pk).update(balance_micro=most_micro)
    assert Wallet.objects.get(pk=wallet.pk).balance_micro == most_micro
    Wallet.objects.filter(pk=wallet.pk).update(balance_micro=100)


def test_the_database_checks_raw_sql_too(wallet):
    with pytest.raises(IntegrityError, match="wallet_held_not_negative"), transaction.atomic():
        connection.cursor().execute("UPDATE billing_wallet SET held_micro = -1 WHERE id = %s", [wallet.pk])
