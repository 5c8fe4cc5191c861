"""Which credits are spent, clawed back and written off. Amounts are micro-credits; wallets start empty."""

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing import ledger
from billing.audit import audit_ledger
from billing.exceptions import AmountOutOfRange, InsufficientCredits, InvalidText, KeyReused
from billing.models import Draw, Entry, Hold, Lot, Wallet
from tests.billing.money import a_key, an_organisation, balance, give, hold

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture
def now(monkeypatch):
    """The clock, stopped."""
    moment = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: moment)
    return moment


@pytest.fixture
def alice(db):
    organisation = an_organisation()
    yield organisation
    assert list(audit_ledger()) == []


def buy(organisation, amount_micro, reference="purchase:1"):
    return ledger.purchase(organisation.id, amount_micro, key=a_key(), reference=reference, description="A bundle")


def grant(organisation, amount_micro, expires_at=None, key=None):
    return ledger.grant(organisation.id, amount_micro, key=key or a_key(), description="", expires_at=expires_at)


def claw_back(organisation, amount_micro, reference="purchase:1", kind="refund", key=None):
    return ledger.claw_back(
        organisation.id, amount_micro, kind=kind, key=key or a_key(), reference=reference, description=""
    )


def spend(organisation, amount_micro):
    state = hold(organisation, amount_micro)
    ledger.capture(state.id, amount_micro, key="r1")
    ledger.settle_hold(state.id)


def left(organisation):
    return [(lot.kind, lot.remaining_micro) for lot in ledger.lots_of(organisation.id)]


def kinds(organisation):
    return [entry.kind for entry in ledger.entries_of(organisation.id, limit=50)]


def test_granted_credits_are_spent_before_purchased_ones_whichever_came_first(alice):
    buy(alice, 50)
    give(alice, 30)
    spend(alice, 40)
    assert left(alice) == [("purchased", 40)]


def test_what_expires_first_is_spent_first(alice, now):
    for days, amount_micro in [(3, 1), (1, 2), (None, 3), (2, 4)]:
        grant(alice, amount_micro, expires_at=days and now + days * DAY)
    assert [amount_micro for _, amount_micro in left(alice)] == [2, 4, 1, 3]
    spend(alice, 5)
    assert [amount_micro for _, amount_micro in left(alice)] == [1, 1, 3]


def test_the_oldest_purchase_is_spent_first(alice):
    for amount_micro in (10, 20):
        buy(alice, amount_micro)
    spend(alice, 15)
    assert [(lot.amount_micro, lot.remaining_micro) for lot in ledger.lots_of(alice.id)] == [(20, 15)]


def test_a_lot_says_where_its_credits_came_from(alice, now):
    grant(alice, 10, expires_at=now + DAY)
    buy(alice, 20, reference="purchase:7")
    granted, purchased = ledger.lots_of(alice.id)
    assert (granted.kind, granted.expires_at, granted.reference) == ("granted", now + DAY, "")
    assert (purchased.kind, purchased.expires_at, purchased.reference) == ("purchased", None, "purchase:7")


def test_the_lots_of_one_organisation_are_its_own(alice, mallory):
    assert left(mallory) == [("granted", 100)]
    assert left(alice) == []


def test_an_organisation_without_a_wallet_has_no_lots():
    assert ledger.lots_of(uuid.uuid4()) == []


def test_a_refund_takes_its_own_purchase_back_first(alice):
    give(alice, 5)
    buy(alice, 10, "purchase:1")
    buy(alice, 20, "purchase:2")
    claw_back(alice, 15, "purchase:2")
    assert left(alice) == [("granted", 5), ("purchased", 10), ("purchased", 5)]
    assert Draw.objects.get().lot.reference == "purchase:2"


def test_a_refund_of_a_spent_purchase_takes_the_others_oldest_first_and_then_what_was_granted(alice):
    buy(alice, 10, "purchase:1")
    spend(alice, 10)
    buy(alice, 20, "purchase:2")
    buy(alice, 30, "purchase:3")
    give(alice, 5)
    claw_back(alice, 10, "purchase:1")
    assert left(alice) == [("granted", 5), ("purchased", 10), ("purchased", 30)]
    claw_back(alice, 41, "purchase:1")
    assert left(alice) == [("granted", 4)]


def test_a_refund_may_take_the_wallet_below_zero_and_no_call_starts(alice):
    buy(alice, 10)
    spend(alice, 4)
    assert claw_back(alice, 10).amount_micro == -10
    assert (balance(alice), left(alice)) == ((-4, 0, -4), [])
    with pytest.raises(InsufficientCredits):
        hold(alice, 1)


def test_credits_that_come_in_pay_what_is_below_zero_first(alice):
    claw_back(alice, 30)
    give(alice, 20)
    assert (balance(alice)[0], left(alice)) == (-10, [])
    buy(alice, 50)
    assert (balance(alice)[0], left(alice)) == (40, [("purchased", 40)])


def test_a_reinstated_dispute_gives_purchased_credits_back(alice):
    buy(alice, 10, "purchase:1")
    claw_back(alice, 10, "purchase:1", kind="dispute")
    entry = ledger.give_back(alice.id, 10, kind="dispute", key="won", reference="purchase:1", description="Won")
    assert (entry.kind, entry.amount_micro) == ("dispute", 10)
    assert [(lot.kind, lot.reference) for lot in ledger.lots_of(alice.id)] == [("purchased", "purchase:1")]


def test_what_was_given_back_can_be_refunded_as_part_of_its_purchase(alice):
    buy(alice, 10, "purchase:1")
    buy(alice, 20, "purchase:2")
    claw_back(alice, 20, "purchase:2")
    ledger.give_back(alice.id, 20, kind="refund", key="failed", reference="purchase:2", description="")
    claw_back(alice, 20, "purchase:2")
    assert [lot.reference for lot in ledger.lots_of(alice.id)] == ["purchase:1"]


def test_a_refund_that_stripe_reports_twice_is_clawed_back_once(alice):
    buy(alice, 10)
    assert claw_back(alice, 4, key="refund:re_1") == claw_back(alice, 4, key="refund:re_1")
    with pytest.raises(KeyReused):
        claw_back(alice, 5, key="refund:re_1")
    assert left(alice) == [("purchased", 6)]


@pytest.mark.parametrize("move", [ledger.claw_back, ledger.give_back])
def test_claw_backs_are_positive_amounts_for_a_refund_or_a_dispute(alice, move):
    with pytest.raises(AmountOutOfRange):
        move(alice.id, -1, kind="refund", key="k", reference="", description="")
    with pytest.raises(ValueError, match="usage"):
        move(alice.id, 1, kind="usage", key="k", reference="", description="")


def test_an_adjustment_gives_granted_credits_and_takes_them_first(alice):
    buy(alice, 10)
    ledger.adjust(alice.id, 5, key="a", reason="Sorry", actor="olga@example.com")
    ledger.adjust(alice.id, -7, key="b", reason="Too much", actor="olga@example.com")
    assert left(alice) == [("purchased", 8)]


def test_a_grant_by_hand_says_who_gave_it(alice):
    ledger.grant(alice.id, 5, key="g", description="A workshop", actor="olga@example.com")
    assert Entry.objects.get(key="g").actor == "olga@example.com"
    with pytest.raises(InvalidText):
        ledger.grant(alice.id, 5, key="h", description="", actor="x" * 255)


def test_a_repeated_grant_keeps_its_first_expiry(alice, now):
    for days in (1, 2):
        grant(alice, 5, expires_at=now + days * DAY, key="g")
    assert [lot.expires_at for lot in ledger.lots_of(alice.id)] == [now + DAY]


def test_granted_credits_whose_time_is_up_are_written_off_by_the_sweep(alice, now):
    grant(alice, 30, expires_at=now + DAY)
    buy(alice, 10)
    assert ledger.expire_granted_credits(now) == []
    (entry,) = ledger.expire_granted_credits(now + DAY)
    assert (entry.kind, entry.amount_micro, entry.balance_after_micro) == ("expiry", -30, 10)
    assert ledger.expire_granted_credits(now + DAY) == []
    assert left(alice) == [("purchased", 10)]


def test_only_what_is_left_of_a_grant_expires(alice, now):
    grant(alice, 30, expires_at=now + DAY)
    spend(alice, 20)
    assert [entry.amount_micro for entry in ledger.expire_granted_credits(now + DAY)] == [-10]


def test_each_lot_expires_at_its_own_time(alice, now):
    for days in (2, 1, 3):
        grant(alice, days, expires_at=now + days * DAY)
    written_off = [[entry.amount_micro for entry in ledger.expire_granted_credits(now + days * DAY)] for days in (1, 3)]
    assert written_off == [[-1], [-2, -3]]


def test_expired_credits_open_no_hold_even_before_the_sweep(alice, now, monkeypatch):
    grant(alice, 30, expires_at=now + DAY)
    buy(alice, 10)
    monkeypatch.setattr(timezone, "now", lambda: now + DAY)
    with pytest.raises(InsufficientCredits) as refusal:
        hold(alice, 11)
    assert refusal.value.available_micro == 10
    hold(alice, 10)
    assert kinds(alice) == ["expiry", "purchase", "grant"]


def test_expired_credits_extend_no_hold(alice, now, monkeypatch):
    grant(alice, 30, expires_at=now + DAY)
    state = hold(alice, 10)
    monkeypatch.setattr(timezone, "now", lambda: now + DAY)
    with pytest.raises(InsufficientCredits):
        ledger.extend_hold(state.id, to_amount_micro=11)


def test_a_call_that_began_before_the_expiry_keeps_what_it_was_promised(alice, now):
    grant(alice, 30, expires_at=now + DAY)
    buy(alice, 100)
    state = hold(alice, 20)
    ledger.capture(state.id, 5, key="r1")
    assert [entry.amount_micro for entry in ledger.expire_granted_credits(now + DAY)] == [-10]
    assert balance(alice) == (120, 20, 100)
    ledger.settle_hold(state.id)
    assert left(alice) == [("granted", 15), ("purchased", 100)]
    assert [entry.amount_micro for entry in ledger.expire_granted_credits(now + DAY)] == [-15]
    assert balance(alice) == (100, 0, 100)


def test_a_call_that_began_after_the_expiry_was_promised_nothing_of_it(alice, now, monkeypatch):
    grant(alice, 30, expires_at=now + DAY)
    buy(alice, 100)
    old = hold(alice, 20)
    monkeypatch.setattr(timezone, "now", lambda: now + DAY)
    hold(alice, 100)
    ledger.release_hold(old.id)
    assert [entry.amount_micro for entry in ledger.expire_granted_credits(now + DAY)] == [-20]
    assert balance(alice) == (100, 100, 0)


def test_one_promise_keeps_two_expired_lots_only_as_far_as_it_goes(alice, now):
    grant(alice, 30, expires_at=now + DAY)
    grant(alice, 40, expires_at=now + 2 * DAY)
    hold(alice, 50)
    assert [entry.amount_micro for entry in ledger.expire_granted_credits(now + 2 * DAY)] == [-20]
    assert balance(alice) == (50, 50, 0)


def test_an_expiry_takes_nothing_that_a_refund_has_left_short(alice, now):
    """A refund took what a hold had been promised: writing off more would only dig deeper."""
    grant(alice, 30, expires_at=now + DAY)
    buy(alice, 100)
    hold(alice, 120)
    Hold.objects.update(created_at=now + 2 * DAY)
    claw_back(alice, 50)
    assert ledger.expire_granted_credits(now + DAY) == []
    assert balance(alice) == (80, 120, -40)


def test_an_expiry_takes_no_more_than_what_is_available(alice, now):
    grant(alice, 30, expires_at=now + DAY)
    buy(alice, 100)
    hold(alice, 100)
    Hold.objects.update(created_at=now + 2 * DAY)
    claw_back(alice, 20)
    assert [entry.amount_micro for entry in ledger.expire_granted_credits(now + DAY)] == [-10]
    assert balance(alice) == (100, 100, 0)


def test_a_wallet_knows_when_to_look_for_expired_credits(alice, now):
    for days in (None, 2, 1, 3):
        grant(alice, 5, expires_at=days and now + days * DAY)
    assert Wallet.objects.get(organisation=alice).lots_expire_at == now + DAY
    ledger.expire_granted_credits(now + DAY)
    assert Wallet.objects.get(organisation=alice).lots_expire_at == now + 2 * DAY
    ledger.expire_granted_credits(now + 3 * DAY)
    assert Wallet.objects.get(organisation=alice).lots_expire_at is None


def test_opening_extending_and_capturing_touch_no_lots(alice, now):
    grant(alice, 100, expires_at=now + DAY)
    with CaptureQueriesContext(connection) as asked:
        state = hold(alice, 10)
        ledger.capture(state.id, 10, key="r1")
        ledger.extend_hold(state.id, to_amount_micro=20)
    assert not [query for query in asked.captured_queries if "billing_lot" in query["sql"]]


def test_a_broken_wallet_does_not_keep_the_others_from_expiring(alice, mallory, now):
    for organisation in (mallory, alice):
        grant(organisation, 30, expires_at=now + DAY)
    ledger.grant(
        mallory.id,
        1,
        key=f"expiry:{Lot.objects.get(wallet__organisation=mallory, amount_micro=30).pk}:30",
        description="",
    )
    assert [entry.amount_micro for entry in ledger.expire_granted_credits(now + DAY)] == [-30]
    assert balance(mallory)[0] == 131


def test_one_sweep_of_expired_credits_is_bounded_and_looks_at_idle_wallets_first(alice, mallory, now, monkeypatch):
    monkeypatch.setattr(ledger, "MAX_EXPIRED_A_SWEEP", 1)
    for organisation in (alice, mallory):
        grant(organisation, 30, expires_at=now + DAY)
    hold(alice, 30)
    assert len(ledger.expire_granted_credits(now + DAY)) == 1
    assert balance(mallory)[0] == 100
    assert ledger.expire_granted_credits(now + DAY) == []


def test_what_was_spent_counts_settled_calls_since_then_and_live_ones(alice, now):
    give(alice, 100)
    spend(alice, 7)
    state = hold(alice, 20)
    ledger.capture(state.id, 5, key="r1")
    assert ledger.spent_since(alice.id, now) == 12
    assert ledger.spent_since(alice.id, now + DAY) == 5
    ledger.release_hold(state.id)
    assert ledger.spent_since(alice.id, now) == 12


def test_nothing_spent_is_zero(alice, now):
    assert ledger.spent_since(alice.id, now) == 0


def test_open_holds_of_a_certain_age_are_counted(alice, mallory, now):
    give(alice, 100)
    hold(alice, 1)
    ledger.release_hold(hold(alice, 1).id)
    hold(mallory, 1)
    assert ledger.count_open_holds(now) == 0
    assert ledger.count_open_holds(now + DAY) == 2
