"""The audit finds every way in which the books can be wrong, and names the row."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from billing import audit, ledger
from billing.audit import audit_ledger
from billing.models import Entry, Hold, Lot, Wallet
from tests.billing.money import LATER, NOON, an_organisation, give, hold

pytestmark = [pytest.mark.django_db, pytest.mark.each_database]


@pytest.fixture
def busy():
    """A wallet with an open hold, a settled one and a released one."""
    organisation = an_organisation(credits_micro=100)
    for key, captured_micro, settle in [("open", 5, False), ("settled", 7, True), ("released", 0, True)]:
        state = hold(organisation, 20, key=key)
        if captured_micro:
            ledger.capture(state.id, captured_micro, key="r1")
        if settle:
            ledger.settle_hold(state.id)
    return organisation


def run_sql(statement, *values):
    """Change a row past the models, which refuse."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        assert cursor.rowcount == 1


def found():
    return [finding.row for finding in audit_ledger()]


def test_nothing_is_found_in_books_that_are_right(busy):
    assert found() == []


def test_a_balance_that_is_not_the_sum_of_its_entries_is_found(busy):
    wallet = Wallet.objects.get()
    Wallet.objects.update(balance_micro=94)
    assert found() == [f"Wallet {wallet.pk}"]


def test_held_credits_without_an_open_hold_are_found(busy):
    wallet = Wallet.objects.get()
    Wallet.objects.update(held_micro=21)
    assert found() == [f"Wallet {wallet.pk}"]


def test_captures_that_do_not_add_up_to_their_hold_are_found(busy):
    state = Hold.objects.get(key="open")
    run_sql("UPDATE billing_hold SET captured_micro = 6 WHERE key = 'open'")
    assert found() == [f"Hold {state.pk}"]


def test_uncollected_usage_that_is_not_in_the_captures_is_found(busy):
    state = Hold.objects.get(key="open")
    run_sql("UPDATE billing_hold SET uncollected_micro = 6 WHERE key = 'open'")
    assert found() == [f"Hold {state.pk}"]


def test_a_settled_hold_without_its_entry_is_found(busy):
    state, wallet, lot = Hold.objects.get(key="settled"), Wallet.objects.get(), Lot.objects.get()
    run_sql("DELETE FROM billing_draw")
    run_sql("DELETE FROM billing_entry WHERE kind = 'usage'")
    assert found() == [f"Wallet {wallet.pk}", f"Hold {state.pk}", f"Lot {lot.pk}"]


def test_an_entry_for_another_amount_than_was_captured_is_found(busy):
    entry = Entry.objects.get(kind="usage")
    run_sql("UPDATE billing_entry SET amount_micro = -8, balance_after_micro = 92 WHERE kind = 'usage'")
    assert f"Entry {entry.pk}" in found()


def test_an_entry_of_a_hold_that_is_still_open_is_found(busy):
    entry = Entry.objects.get(kind="usage")
    run_sql("UPDATE billing_hold SET status = 'open', settled_at = NULL WHERE key = 'settled'")
    assert f"Entry {entry.pk}" in found()


def test_a_break_in_the_chain_of_balances_is_found(busy):
    entry = Entry.objects.get(kind="usage")
    run_sql("UPDATE billing_entry SET balance_before_micro = 99, balance_after_micro = 92 WHERE kind = 'usage'")
    assert found() == [f"Entry {entry.pk}"]


def test_lots_that_are_not_the_balance_are_found(busy):
    lot = Lot.objects.get()
    run_sql("UPDATE billing_lot SET remaining_micro = 92")
    assert found() == [f"Wallet {lot.wallet_id}", f"Lot {lot.pk}"]


def test_what_is_left_moved_from_one_lot_to_another_is_found(busy):
    give(busy, 10)
    first, second = Lot.objects.order_by("pk")
    run_sql("UPDATE billing_lot SET remaining_micro = 92 WHERE id = %s", first.pk)
    run_sql("UPDATE billing_lot SET remaining_micro = 10, amount_micro = 11 WHERE id = %s", second.pk)
    assert set(found()) == {f"Wallet {first.wallet_id}", f"Lot {first.pk}", f"Lot {second.pk}"}


def test_granted_credits_passed_off_as_purchased_are_found(busy):
    run_sql("UPDATE billing_lot SET kind = 'purchased'")
    assert found() == [f"Lot {Lot.objects.get().pk}"]


def test_a_lot_in_anothers_wallet_is_found(busy):
    lot, other = Lot.objects.get(), an_organisation("Mallory's")
    run_sql("UPDATE billing_lot SET wallet_id = %s", other.wallet.pk)
    assert {f"Lot {lot.pk}", f"Wallet {other.wallet.pk}", f"Draw {lot.draws.get().pk}"} <= set(found())


def test_credits_that_came_in_without_a_lot_are_found(busy):
    entry = Entry.objects.get(kind="grant")
    run_sql("DELETE FROM billing_draw")
    run_sql("DELETE FROM billing_lot")
    assert f"Entry {entry.pk}" in found()


def test_usage_that_was_drawn_from_nothing_is_found(busy):
    entry, lot = Entry.objects.get(kind="usage"), Lot.objects.get()
    run_sql("UPDATE billing_draw SET amount_micro = 6")
    run_sql("UPDATE billing_lot SET remaining_micro = 94")
    assert found() == [f"Wallet {lot.wallet_id}", f"Entry {entry.pk}"]


def test_a_debt_paid_back_twice_is_found(busy):
    organisation = an_organisation("Bob's")
    ledger.claw_back(organisation.id, 30, kind="refund", key="r", reference="", description="")
    entry = give(organisation, 50)
    run_sql("UPDATE billing_draw SET amount_micro = 40 WHERE entry_id = %s", entry.id)
    run_sql("UPDATE billing_lot SET remaining_micro = 10 WHERE entry_id = %s", entry.id)
    assert found() == [f"Wallet {organisation.wallet.pk}", f"Entry {entry.id}"]


@pytest.mark.parametrize("kept", [None, LATER])
def test_credits_that_would_never_expire_are_found(busy, kept):
    ledger.grant(busy.id, 5, key="g", description="", expires_at=NOON)
    Wallet.objects.update(lots_expire_at=kept)
    assert found() == [f"Wallet {busy.wallet.pk}"]


def test_another_modules_check_is_part_of_the_audit(busy, monkeypatch):
    monkeypatch.setattr(audit, "_more_checks", [])
    wallet = Wallet.objects.get()
    for _ in range(2):
        audit.register(check)
    assert list(audit_ledger()) == [audit.Finding(f"Wallet {wallet.pk}", "it looks odd")]


def check():
    yield audit.finding(Wallet.objects.get(), "it looks odd")


def test_a_hold_is_stale_when_it_is_open_past_its_time(busy):
    state = Hold.objects.get(key="open")
    assert list(audit.stale_holds(state.expires_at)) == []
    assert list(audit.stale_holds(state.expires_at + timedelta(seconds=1))) == [state]


def test_the_command_ends_well_when_the_books_are_right(busy):
    out = StringIO()
    call_command("audit_ledger", stdout=out)
    assert out.getvalue() == "The ledger adds up.\n"


def test_the_command_names_the_row_and_fails_when_they_are_not(busy):
    wallet, out = Wallet.objects.get(), StringIO()
    Wallet.objects.update(balance_micro=94)
    with pytest.raises(CommandError, match="1 row") as failure:
        call_command("audit_ledger", stdout=out)
    assert failure.value.returncode == 1
    assert out.getvalue() == f"Wallet {wallet.pk}: balance_micro is 94, its entries add up to 93\n"
