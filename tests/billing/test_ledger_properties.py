"""Any interleaving of what calls, crashes and repeats do to a wallet keeps the books right.

A model in plain Python says what must come out; after every step the database is compared with it.
"""

import itertools
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import transaction
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from billing import ledger
from billing.audit import audit_ledger
from billing.exceptions import HoldClosed, InsufficientCredits
from billing.models import Entry, Hold
from tests.billing.budgets import runs
from tests.billing.money import NOON, an_organisation

AMOUNTS = st.integers(1, 120)

pytestmark = pytest.mark.each_database


class Crash(Exception):
    """The process died before the commit."""


class WalletMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        # Each run has a database of its own: a savepoint that is rolled back at its end.
        self.savepoint = transaction.atomic()
        self.savepoint.__enter__()
        self.organisation_id = an_organisation().id
        self.number = itertools.count()
        self.now = NOON
        self.balance_micro = 0
        self.holds = []
        # Every call that succeeded, with what it returned: each may come again at any time.
        self.done = []

    def teardown(self):
        found = list(audit_ledger())
        transaction.set_rollback(True)
        self.savepoint.__exit__(None, None, None)
        assert found == []

    @property
    def available_micro(self):
        return self.balance_micro - sum(hold.amount_micro for hold in self.holds if hold.open)

    def key(self):
        return f"{self.organisation_id}:{next(self.number)}"

    def do(self, call, crash_first):
        """Run a ledger call, after a try that died before its commit if asked to."""
        if crash_first:
            with pytest.raises((Crash, InsufficientCredits, HoldClosed)), transaction.atomic():
                call()
                raise Crash
        result = call()
        self.done.append((call, result))
        return result

    @rule(amount_micro=AMOUNTS, crash=st.booleans())
    def grant(self, amount_micro, crash):
        key = self.key()
        self.do(lambda: ledger.grant(self.organisation_id, amount_micro, key=key, description=""), crash)
        self.balance_micro += amount_micro

    @rule(
        move=st.sampled_from([(ledger.claw_back, -1), (ledger.give_back, 1)]),
        kind=st.sampled_from(["refund", "dispute"]),
        amount_micro=AMOUNTS,
        crash=st.booleans(),
    )
    def move_money_that_left(self, move, kind, amount_micro, crash):
        key, (post, sign) = self.key(), move
        wanted = {"kind": kind, "key": key, "reference": "", "description": ""}
        self.do(lambda: post(self.organisation_id, amount_micro, **wanted), crash)
        self.balance_micro += sign * amount_micro

    @rule(amount_micro=AMOUNTS, minutes=st.integers(1, 30), crash=st.booleans())
    def open_hold(self, amount_micro, minutes, crash):
        key, expires_at, available_micro = self.key(), self.now + timedelta(minutes=minutes), self.available_micro

        def call():
            return ledger.open_hold(self.organisation_id, amount_micro, key=key, reference="", expires_at=expires_at)

        if amount_micro > available_micro:
            with pytest.raises(InsufficientCredits):
                call()
            return
        state = self.do(call, crash)
        self.holds.append(
            SimpleNamespace(
                id=state.id, open=True, amount_micro=amount_micro, captured_micro=0, used_micro=0, expires_at=expires_at
            )
        )

    @precondition(lambda self: self.holds)
    @rule(data=st.data(), to_amount_micro=AMOUNTS, minutes=st.integers(1, 30), crash=st.booleans())
    def extend_hold(self, data, to_amount_micro, minutes, crash):
        hold = data.draw(st.sampled_from(self.holds))
        expires_at = self.now + timedelta(minutes=minutes)

        def call():
            return ledger.extend_hold(hold.id, to_amount_micro=to_amount_micro, expires_at=expires_at)

        more_micro = to_amount_micro - hold.amount_micro
        if not hold.open or (more_micro > 0 and more_micro > self.available_micro):
            with pytest.raises(InsufficientCredits if hold.open else HoldClosed):
                call()
            return
        # Not kept for a repeat: a late one may prolong the hold, which is no movement of money.
        self.do(call, crash)
        self.done.pop()
        hold.amount_micro = max(hold.amount_micro, to_amount_micro)
        hold.expires_at = max(hold.expires_at, expires_at)

    @precondition(lambda self: self.holds)
    @rule(data=st.data(), amount_micro=st.integers(0, 120), crash=st.booleans())
    def capture(self, data, amount_micro, crash):
        hold, key = data.draw(st.sampled_from(self.holds)), self.key()

        def call():
            return ledger.capture(hold.id, amount_micro, key=key)

        if not hold.open:
            with pytest.raises(HoldClosed):
                call()
            return
        taken = self.do(call, crash)
        assert taken.captured_micro == min(amount_micro, hold.amount_micro - hold.captured_micro)
        hold.captured_micro += taken.captured_micro
        hold.used_micro += amount_micro

    @precondition(lambda self: self.holds)
    @rule(data=st.data(), amounts_micro=st.lists(st.integers(0, 60), min_size=1, max_size=3), is_stale=st.booleans())
    def capture_as_known(self, data, amounts_micro, is_stale):
        hold = data.draw(st.sampled_from(self.holds))
        known = ledger.hold_state(hold.id)
        if is_stale:
            known = replace(known, captured_micro=max(0, known.captured_micro - 1))
        total_micro = sum(amounts_micro)
        is_so = known == ledger.hold_state(hold.id)
        charged = ledger.capture_as_known(known, {self.key(): amount_micro for amount_micro in amounts_micro})
        if not (hold.open and is_so and total_micro <= hold.amount_micro - hold.captured_micro):
            assert charged is None
            return
        assert charged == ledger.hold_state(hold.id)
        hold.captured_micro += total_micro
        hold.used_micro += total_micro

    @precondition(lambda self: self.holds)
    @rule(data=st.data(), close=st.sampled_from([ledger.settle_hold, ledger.release_hold]), crash=st.booleans())
    def close_hold(self, data, close, crash):
        hold = data.draw(st.sampled_from(self.holds))
        self.do(lambda: close(hold.id), crash)
        self.closed(hold)

    @rule(minutes=st.integers(0, 20))
    def sweep(self, minutes):
        self.now += timedelta(minutes=minutes)
        due = [hold for hold in self.holds if hold.open and hold.expires_at <= self.now]
        assert {state.id for state in ledger.expire_holds(self.now)} == {hold.id for hold in due}
        for hold in due:
            self.closed(hold)

    def closed(self, hold):
        if hold.open:
            hold.open = False
            self.balance_micro -= hold.captured_micro

    @precondition(lambda self: self.done)
    @rule(data=st.data())
    def repeat(self, data):
        call, result = data.draw(st.sampled_from(self.done))
        before = ledger.balance_of(self.organisation_id), ledger.entries_of(self.organisation_id, limit=200)
        again = call()
        assert (ledger.balance_of(self.organisation_id), ledger.entries_of(self.organisation_id, limit=200)) == before
        match again:
            case ledger.Capture():
                assert (again.captured_micro, again.uncollected_micro) == (
                    result.captured_micro,
                    result.uncollected_micro,
                )
                assert again.repeated
            case ledger.HoldState():
                assert again.id == result.id
            case _:
                assert again == result

    @invariant()
    def the_wallet_is_what_the_model_says(self):
        state = ledger.balance_of(self.organisation_id)
        assert (state.balance_micro, state.available_micro) == (self.balance_micro, self.available_micro)

    @invariant()
    def the_balance_is_the_sum_of_the_entries(self):
        assert sum(Entry.objects.values_list("amount_micro", flat=True)) == self.balance_micro

    @invariant()
    def every_hold_is_what_the_model_says(self):
        states = Hold.objects.in_bulk([hold.id for hold in self.holds])
        for hold in self.holds:
            state = states[hold.id]
            assert state.is_open == hold.open
            assert (state.amount_micro, state.captured_micro) == (hold.amount_micro, hold.captured_micro)
            assert state.captured_micro + state.uncollected_micro == hold.used_micro, "no usage is dropped"


RUNS = runs(20, steps=25)


@pytest.mark.django_db
def test_any_interleaving_of_calls_crashes_and_repeats_keeps_the_books_right():
    run_state_machine_as_test(WalletMachine, settings=RUNS)


class SpendingMachine(WalletMachine):
    """Without refunds, disputes or adjustments: nothing but holds and usage takes credits away."""

    move_money_that_left = None

    @invariant()
    def available_is_never_below_zero(self):
        assert ledger.balance_of(self.organisation_id).available_micro >= 0


@pytest.mark.django_db
def test_no_hold_and_no_usage_takes_what_is_available_below_zero():
    run_state_machine_as_test(SpendingMachine, settings=RUNS)
