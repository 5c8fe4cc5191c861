"""The month's cap: calls together never cost more in a month than the customer allows."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from billing import ledger, low_balance, spending_cap
from billing.exceptions import InsufficientCredits, InvalidSetting, SpendingCapReached
from billing.models import Entry, Wallet
from tests.billing.money import LATER, an_organisation, balance, give, hold
from tests.billing.test_ledger_concurrency import at_once, of_type


def cap(organisation, cap_micro):
    low_balance.save_budget(organisation.id, low_balance_thresholds_micro=[], monthly_cap_micro=cap_micro)


def left(organisation):
    return spending_cap.remaining_this_month_micro(Wallet.objects.get(organisation=organisation))


def use(organisation, amount_micro):
    state = hold(organisation, amount_micro)
    ledger.capture(state.id, amount_micro, key="r1")
    ledger.settle_hold(state.id)


def used_last_month(organisation):
    """Usage entries are never changed; this one is only moved to where the test needs it."""
    super(type(Entry.objects.all()), Entry.objects.filter(kind="usage")).update(
        created_at=spending_cap.start_of_month(timezone.now()) - timedelta(seconds=1)
    )


def test_without_a_cap_the_wallet_is_the_only_limit(alice):
    assert left(alice) is None
    hold(alice, 100)


def test_a_cap_refuses_a_hold_although_the_credits_are_there(alice):
    cap(alice, 60)
    with pytest.raises(SpendingCapReached) as refused:
        hold(alice, 61)
    assert refused.value.available_micro == 60
    assert balance(alice) == (100, 0, 100)


def test_whoever_handles_missing_credits_handles_the_cap(alice):
    cap(alice, 0)
    with pytest.raises(InsufficientCredits):
        hold(alice, 1)


def test_a_cap_refuses_an_extension(alice):
    cap(alice, 60)
    state = hold(alice, 50)
    ledger.extend_hold(state.id, to_amount_micro=60)
    with pytest.raises(SpendingCapReached):
        ledger.extend_hold(state.id, to_amount_micro=61)


def test_open_holds_count_in_full(alice):
    cap(alice, 60)
    ledger.capture(hold(alice, 40).id, 5, key="r1")
    assert left(alice) == 20


def test_what_a_settled_call_did_not_use_may_be_used_again(alice):
    cap(alice, 60)
    state = hold(alice, 40)
    ledger.capture(state.id, 5, key="r1")
    ledger.settle_hold(state.id)
    assert left(alice) == 55
    assert spending_cap.used_this_month_micro(alice.id) == 5


def test_last_month_does_not_count(alice):
    cap(alice, 60)
    use(alice, 50)
    used_last_month(alice)
    assert left(alice) == 60


def test_only_usage_counts(alice):
    cap(alice, 60)
    ledger.adjust(alice.id, -30, key="a", reason="a mistake", actor="olga")
    assert left(alice) == 60


def test_a_cap_below_what_was_spent_leaves_nothing(alice):
    use(alice, 50)
    cap(alice, 10)
    assert left(alice) == 0


def test_a_cap_can_be_lifted(alice):
    cap(alice, 0)
    cap(alice, None)
    hold(alice, 100)


def test_one_customers_cap_is_nobody_elses(alice, mallory):
    cap(mallory, 0)
    assert left(alice) is None
    hold(alice, 100)


@pytest.mark.parametrize("wrong", [-1, low_balance.MAX_THRESHOLD_MICRO + 1])
def test_a_cap_that_makes_no_sense_is_refused(alice, wrong):
    with pytest.raises(InvalidSetting):
        cap(alice, wrong)


def test_the_month_begins_at_midnight_where_the_seller_is(settings):
    settings.TIME_ZONE = "Asia/Kolkata"
    with timezone.override("Asia/Kolkata"):
        start = spending_cap.start_of_month(datetime(2026, 1, 31, 19, tzinfo=UTC))
    assert start == datetime(2026, 1, 31, 18, 30, tzinfo=UTC)


@pytest.mark.django_db(transaction=True)
@pytest.mark.db_concurrency
def test_twenty_calls_at_once_stay_within_the_cap(alice):
    cap(alice, 50)
    results = at_once(lambda number: hold(alice, 9, key=f"h{number}"))
    assert len(of_type(results, ledger.HoldState)) == 5
    assert len(of_type(results, SpendingCapReached)) == 15


class TestAnySequenceOfCalls(TestCase):
    @given(
        cap_micro=st.integers(0, 200),
        calls=st.lists(st.tuples(st.integers(1, 80), st.integers(0, 120), st.booleans()), max_size=12),
    )
    @settings(max_examples=40, deadline=None)
    def test_the_months_usage_never_passes_the_cap(self, cap_micro, calls):
        organisation = an_organisation()
        give(organisation, 1000)
        cap(organisation, cap_micro)
        for number, (amount_micro, used_micro, settles) in enumerate(calls):
            try:
                state = hold(organisation, amount_micro, key=f"{organisation.id}:{number}")
                ledger.capture(state.id, used_micro // 2, key="r1")
                ledger.extend_hold(state.id, to_amount_micro=max(1, used_micro))
                ledger.capture(state.id, used_micro - used_micro // 2, key="r2")
            except SpendingCapReached:
                pass
            else:
                if settles:
                    ledger.settle_hold(state.id)
            assert left(organisation) >= 0
        ledger.expire_holds(LATER)
        assert spending_cap.used_this_month_micro(organisation.id) <= cap_micro
