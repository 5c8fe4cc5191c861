"""The month's cap: calls together never cost more in a month than the customer allows."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db.models import F
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from accounts.models import Membership, Role
from billing import emails, ledger, low_balance, spending_cap
from billing.exceptions import InsufficientCredits, InvalidSetting, SpendingCapReached
from billing.models import BudgetSettings, Entry, Wallet
from billing.signals import budget_exceeded
from billing.tasks import record_cap_reached
from outbox.models import OutboxMessage
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
    @settings(max_examples=25, deadline=None)
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


@pytest.fixture
def handed_over(monkeypatch):
    """The ids that workers were given: what they do is done after the refusal was rolled back, as it really is."""
    ids = []
    monkeypatch.setattr("billing.watch.record_cap_reached.delay", ids.append)
    return ids


@pytest.fixture
def refused(handed_over):
    """A way to be refused by the cap, with what a worker then does."""

    def be_refused(organisation):
        with pytest.raises(SpendingCapReached):
            hold(organisation, 90)
        for organisation_id in handed_over:
            record_cap_reached(organisation_id)
        handed_over.clear()

    return be_refused


@pytest.fixture
def paying_alice(alice, ann):
    Membership.objects.create(organisation=alice, user=ann, role=Role.OWNER)
    cap(alice, 60)
    return alice


def subjects():
    return [message.payload["mail"] for message in OutboxMessage.objects.all()]


def test_a_refusal_by_the_cap_is_told_to_the_payers_and_to_the_apps_above(paying_alice, refused, heard):
    exceeded = heard(budget_exceeded)
    refused(paying_alice)
    assert exceeded == [{"organisation_id": paying_alice.id, "cap_micro": 60}]
    assert subjects() == ["cap_reached"]


def test_a_month_is_told_once(paying_alice, refused, heard):
    exceeded = heard(budget_exceeded)
    refused(paying_alice)
    refused(paying_alice)
    assert len(exceeded) == 1


def test_what_was_told_is_handed_to_no_worker_again(paying_alice, refused, handed_over):
    refused(paying_alice)
    with pytest.raises(SpendingCapReached):
        hold(paying_alice, 90)
    assert handed_over == []


def test_the_next_month_is_told_again(paying_alice, refused, heard):
    refused(paying_alice)
    BudgetSettings.objects.update(cap_reached_in=F("cap_reached_in") - timedelta(days=28))
    exceeded = heard(budget_exceeded)
    refused(paying_alice)
    assert len(exceeded) == 1


def test_another_cap_is_told_again(paying_alice, refused, heard):
    refused(paying_alice)
    cap(paying_alice, 70)
    exceeded = heard(budget_exceeded)
    refused(paying_alice)
    assert [facts["cap_micro"] for facts in exceeded] == [70]


def test_a_cap_that_was_taken_away_meanwhile_is_not_told(paying_alice, heard):
    exceeded = heard(budget_exceeded)
    cap(paying_alice, None)
    record_cap_reached(str(paying_alice.id))
    assert exceeded == []


def test_a_refusal_for_want_of_credits_is_none_of_the_caps(paying_alice, handed_over):
    with pytest.raises(InsufficientCredits):
        hold(paying_alice, 1000)
    assert handed_over == []


def test_the_mail_says_which_limit_was_reached(paying_alice, mailoutbox):
    record_cap_reached(str(paying_alice.id))
    emails.send(OutboxMessage.objects.get().payload)
    assert mailoutbox[0].subject == "Alice's Plumbing has reached its monthly limit of 0.00006 credits"
