"""Any order of grants, purchases, calls, refunds and expiries takes each credit from where the rules say.

The rules are told here once more, credit by credit: the lowest in the order goes first.
"""

import itertools
from collections import Counter
from datetime import datetime, timedelta
from unittest.mock import patch

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from billing import ledger
from billing.audit import audit_ledger
from billing.exceptions import InsufficientCredits
from billing.models import Draw, Entry, Hold, Lot
from tests.billing.budgets import runs
from tests.billing.money import NOON, an_organisation

AMOUNTS = st.integers(1, 60)
MINUTES = st.integers(0, 30)
REFERENCES = st.sampled_from(["purchase:1", "purchase:2", "purchase:3"])
FAR = datetime.max.replace(tzinfo=NOON.tzinfo)


def as_usage(lot, _):
    return lot.kind == "purchased", lot.expires_at or FAR, lot.pk


def as_claw_back(lot, reference):
    return lot.kind == "granted", lot.reference != reference, lot.expires_at or FAR, lot.pk


pytestmark = pytest.mark.each_database


class LotMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.savepoint = transaction.atomic()
        self.savepoint.__enter__()
        self.now = NOON
        self.clock = patch.object(timezone, "now", lambda: self.now)
        self.clock.start()
        self.organisation_id = an_organisation().id
        self.number = itertools.count()

    def teardown(self):
        self.clock.stop()
        found = list(audit_ledger())
        transaction.set_rollback(True)
        self.savepoint.__exit__(None, None, None)
        assert found == []

    def key(self):
        return f"k{next(self.number)}"

    @property
    def balance(self):
        return ledger.balance_of(self.organisation_id)

    def expect(self, amount_micro, order, reference=""):
        """Return what a movement of so many credits must take of each lot."""
        lots = list(Lot.objects.filter(remaining_micro__gt=0))
        left = {lot.pk: lot.remaining_micro for lot in lots}
        taken = Counter()
        for _ in range(min(amount_micro, max(0, self.balance.balance_micro))):
            lot = min((lot for lot in lots if left[lot.pk]), key=lambda lot: order(lot, reference))
            left[lot.pk] -= 1
            taken[lot.pk] += 1
        return taken

    @staticmethod
    def taken(key):
        return Counter(dict(Draw.objects.filter(entry__key=key).values_list("lot_id", "amount_micro")))

    @rule(amount_micro=AMOUNTS, minutes=st.none() | MINUTES)
    def grant(self, amount_micro, minutes):
        expires_at = None if minutes is None else self.now + timedelta(minutes=minutes)
        ledger.grant(self.organisation_id, amount_micro, key=self.key(), description="", expires_at=expires_at)

    @rule(amount_micro=AMOUNTS, reference=REFERENCES)
    def purchase(self, amount_micro, reference):
        ledger.purchase(self.organisation_id, amount_micro, key=self.key(), reference=reference, description="")

    @rule(amount_micro=AMOUNTS, reference=REFERENCES, kind=st.sampled_from(["refund", "dispute"]))
    def claw_back(self, amount_micro, reference, kind):
        key, expected = self.key(), self.expect(amount_micro, as_claw_back, reference)
        ledger.claw_back(self.organisation_id, amount_micro, kind=kind, key=key, reference=reference, description="")
        assert self.taken(key) == expected

    @rule(amount_micro=AMOUNTS, reference=REFERENCES)
    def give_back(self, amount_micro, reference):
        ledger.give_back(
            self.organisation_id, amount_micro, kind="dispute", key=self.key(), reference=reference, description=""
        )

    @rule(amount_micro=AMOUNTS)
    def take_away(self, amount_micro):
        key, expected = self.key(), self.expect(amount_micro, as_usage)
        ledger.adjust(self.organisation_id, -amount_micro, key=key, reason="Too much", actor="olga")
        assert self.taken(key) == expected

    @rule(amount_micro=AMOUNTS)
    def open_hold(self, amount_micro):
        before = self.balance
        try:
            ledger.open_hold(
                self.organisation_id,
                amount_micro,
                key=self.key(),
                reference="",
                expires_at=self.now + timedelta(days=1),
            )
        except InsufficientCredits as refusal:
            assert refusal.available_micro < amount_micro
            assert self.balance == before, "a refusal changes nothing"
            return
        assert self.balance.available_micro >= 0

    def open_holds(self):
        return list(Hold.objects.filter(status="open").order_by("created_at", "key"))

    @precondition(lambda self: self.open_holds())
    @rule(data=st.data(), used_micro=st.integers(0, 60))
    def settle(self, data, used_micro):
        hold = data.draw(st.sampled_from(self.open_holds()))
        captured_micro = ledger.capture(hold.id, used_micro, key="r1").captured_micro
        expected = self.expect(captured_micro, as_usage)
        ledger.settle_hold(hold.id)
        assert self.taken(f"hold:{hold.id}") == expected

    @rule(minutes=MINUTES)
    def wait(self, minutes):
        self.now += timedelta(minutes=minutes)

    @rule()
    def sweep(self):
        before = self.balance
        written_off = -sum(entry.amount_micro for entry in ledger.expire_granted_credits(self.now))
        after = self.balance
        assert (after.balance_micro, after.held_micro) == (before.balance_micro - written_off, before.held_micro)
        assert not written_off or after.available_micro >= 0
        expired = Lot.objects.filter(remaining_micro__gt=0, expires_at__lte=self.now)
        kept = sum(lot.remaining_micro for lot in expired)
        promised = sum(hold.amount_micro for hold in self.open_holds() if any(map(began_before(hold), expired)))
        assert kept <= promised or after.available_micro <= 0
        assert ledger.expire_granted_credits(self.now) == []

    @invariant()
    def the_lots_are_the_balance(self):
        lots = ledger.lots_of(self.organisation_id)
        assert sum(lot.remaining_micro for lot in lots) == max(0, self.balance.balance_micro)

    @invariant()
    def only_granted_credits_expire(self):
        assert not Draw.objects.filter(entry__kind="expiry", lot__kind="purchased").exists()
        assert not Entry.objects.filter(kind="expiry", lot__isnull=False).exists()


def began_before(hold):
    return lambda lot: hold.created_at < lot.expires_at


RUNS = runs(20, steps=25)


@pytest.mark.django_db
def test_any_order_of_movements_takes_each_credit_from_where_the_rules_say():
    run_state_machine_as_test(LotMachine, settings=RUNS)
