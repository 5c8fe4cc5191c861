"""The rules of billing/ledger.py, one by one. `alice` starts with 100 micro-credits."""

import uuid
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from billing import ledger
from billing.exceptions import (
    AmountOutOfRange,
    HoldClosed,
    HoldNotFound,
    InsufficientCredits,
    InvalidText,
    KeyReused,
    SpendingCapReached,
    WalletNotOpen,
)
from billing.models import BudgetSettings, Entry, Hold, Wallet
from billing.signals import credits_wanted, wallet_changed
from tests.billing.money import LATER, NOON, a_key, an_organisation, balance, give, hold

pytestmark = pytest.mark.django_db


def entries(organisation):
    return [(entry.kind, entry.amount_micro) for entry in ledger.entries_of(organisation.id, limit=50)]


def test_a_new_wallet_is_empty():
    assert balance(an_organisation()) == (0, 0, 0)


def test_opening_a_wallet_twice_keeps_what_is_in_it(alice):
    ledger.open_wallet(alice.id)
    assert balance(alice) == (100, 0, 100)


@pytest.mark.parametrize(
    "use",
    [
        lambda: ledger.balance_of(uuid.UUID(int=1)),
        lambda: ledger.grant(uuid.UUID(int=1), 1, key="k", description=""),
        lambda: ledger.open_hold(uuid.UUID(int=1), 1, key="k", reference="", expires_at=LATER),
    ],
)
def test_an_organisation_without_a_wallet_is_an_error_of_its_own(use):
    with pytest.raises(WalletNotOpen):
        use()


def test_a_grant_is_added_and_its_entry_says_what_the_balance_became(alice):
    entry = ledger.grant(alice.id, 50, key="g", description="Welcome")
    assert (entry.kind, entry.amount_micro, entry.balance_after_micro) == ("grant", 50, 150)
    assert entry.description == "Welcome"


def test_the_same_grant_twice_is_one_entry(alice):
    first = give(alice, 50, key="g")
    assert give(alice, 50, key="g") == first
    assert balance(alice) == (150, 0, 150)


def test_a_key_cannot_be_used_for_another_amount(alice):
    give(alice, 50, key="g")
    with pytest.raises(KeyReused):
        give(alice, 51, key="g")


def test_a_key_cannot_be_used_for_another_wallet(alice, mallory):
    give(alice, 50, key="g")
    with pytest.raises(KeyReused):
        give(mallory, 50, key="g")


def test_a_key_cannot_be_used_for_another_kind(alice):
    give(alice, 50, key="g")
    with pytest.raises(KeyReused):
        ledger.purchase(alice.id, 50, key="g", reference="", description="")


def test_a_purchase_names_what_was_bought(alice):
    entry = ledger.purchase(alice.id, 50, key="p", reference="purchase:7", description="Small bundle")
    assert (entry.kind, entry.reference) == ("purchase", "purchase:7")


@pytest.mark.parametrize("kind", ["refund", "dispute"])
def test_money_that_has_left_already_takes_the_balance_below_zero(alice, kind):
    ledger.claw_back(alice.id, 150, kind=kind, key="r", reference="purchase:7", description="")
    assert balance(alice) == (-50, 0, -50)


@pytest.mark.parametrize("kind", ["refund", "dispute"])
def test_a_failed_refund_and_a_won_dispute_give_the_credits_back(alice, kind):
    ledger.give_back(alice.id, 30, kind=kind, key="r", reference="purchase:7", description="")
    assert balance(alice) == (130, 0, 130)


def test_an_adjustment_keeps_who_made_it_and_why(alice):
    ledger.adjust(alice.id, -150, key="a", reason="Granted by mistake", actor="olga@example.com")
    made = Entry.objects.get(key="a")
    assert (made.actor, made.description, made.balance_after_micro) == ("olga@example.com", "Granted by mistake", -50)


@pytest.mark.parametrize(("reason", "actor"), [("", "olga"), ("  ", "olga"), ("why", "")])
def test_an_adjustment_needs_a_reason_and_an_actor(alice, reason, actor):
    with pytest.raises(InvalidText):
        ledger.adjust(alice.id, 1, key="a", reason=reason, actor=actor)


@pytest.mark.parametrize("amount_micro", [0, -1, ledger.MAX_AMOUNT_MICRO + 1])
def test_a_grant_must_be_positive_and_bounded(alice, amount_micro):
    with pytest.raises(AmountOutOfRange):
        give(alice, amount_micro)


@pytest.mark.parametrize("amount_micro", [0, ledger.MAX_AMOUNT_MICRO + 1, -ledger.MAX_AMOUNT_MICRO - 1])
def test_an_adjustment_must_move_something_and_be_bounded(alice, amount_micro):
    with pytest.raises(AmountOutOfRange):
        ledger.adjust(alice.id, amount_micro, key="a", reason="why", actor="olga")


@pytest.mark.parametrize("amount_micro", [1.5, 1.0, Decimal(1), "1"])
def test_an_amount_that_is_not_an_integer_is_refused_rather_than_rounded(alice, amount_micro):
    with pytest.raises(TypeError):
        give(alice, amount_micro)


def test_a_balance_stays_within_bounds(alice):
    Wallet.objects.filter(organisation=alice).update(balance_micro=ledger.MAX_TOTAL_MICRO)
    with pytest.raises(AmountOutOfRange):
        give(alice, 1)
    Wallet.objects.filter(organisation=alice).update(balance_micro=100)


@pytest.mark.parametrize("key", ["", " ", "k" * 201, "a\x00b", "a\nb", "\ud800"])
def test_a_key_is_one_printable_line(alice, key):
    with pytest.raises(InvalidText):
        ledger.grant(alice.id, 1, key=key, description="")


def test_entries_come_newest_first_and_page_by_page(alice):
    give(alice, 1)
    newest = give(alice, 2)
    assert [entry.amount_micro for entry in ledger.entries_of(alice.id, limit=2)] == [2, 1]
    assert [entry.amount_micro for entry in ledger.entries_of(alice.id, limit=2, before=newest.id)] == [1, 100]


def test_the_entries_of_one_organisation_are_its_own(alice, mallory):
    give(mallory, 7)
    assert entries(alice) == [("grant", 100)]


@pytest.mark.parametrize(("limit", "found"), [(-5, 0), (0, 0), (1, 1), (10**9, 1)])
def test_a_page_of_entries_is_bounded(alice, limit, found):
    assert len(ledger.entries_of(alice.id, limit=limit)) == found


def test_a_hold_is_unavailable_but_still_in_the_balance(alice):
    state = hold(alice, 60)
    assert (state.status, state.amount_micro, state.captured_micro) == ("open", 60, 0)
    assert balance(alice) == (100, 60, 40)


def test_everything_available_can_be_held(alice):
    hold(alice, 100)
    assert balance(alice) == (100, 100, 0)


def test_a_hold_beyond_what_is_available_is_refused_and_says_the_numbers(alice):
    hold(alice, 60)
    with pytest.raises(InsufficientCredits) as refusal:
        hold(alice, 41)
    assert (refusal.value.available_micro, refusal.value.needed_micro) == (40, 41)
    assert balance(alice) == (100, 60, 40)


def test_a_wallet_below_zero_opens_no_hold(alice):
    ledger.claw_back(alice.id, 101, kind="refund", key="r", reference="", description="")
    with pytest.raises(InsufficientCredits):
        hold(alice, 1)


@pytest.mark.parametrize("amount_micro", [0, -1, ledger.MAX_AMOUNT_MICRO + 1])
def test_a_hold_must_be_positive_and_bounded(alice, amount_micro):
    with pytest.raises(AmountOutOfRange):
        hold(alice, amount_micro)


@pytest.mark.parametrize(("key", "reference"), [("", "x"), ("k", "x" * 201)])
def test_a_hold_needs_a_key_and_a_bounded_reference(alice, key, reference):
    with pytest.raises(InvalidText):
        ledger.open_hold(alice.id, 1, key=key, reference=reference, expires_at=LATER)


def test_the_months_cap_refuses_holds_and_extensions_though_the_credits_are_there(alice):
    BudgetSettings.objects.create(organisation=alice, monthly_cap_micro=30)
    with pytest.raises(SpendingCapReached) as refusal:
        hold(alice, 31)
    assert (refusal.value.available_micro, refusal.value.needed_micro) == (30, 31)
    state = hold(alice, 20)
    with pytest.raises(SpendingCapReached):
        ledger.extend_hold(state.id, to_amount_micro=31)
    assert ledger.extend_hold(state.id, to_amount_micro=30).amount_micro == 30
    assert balance(alice) == (100, 30, 70)


def test_whoever_knows_only_insufficient_credits_understands_the_cap_too(alice):
    BudgetSettings.objects.create(organisation=alice, monthly_cap_micro=0)
    with pytest.raises(InsufficientCredits):
        hold(alice, 1)


@pytest.fixture
def wanted():
    """What credits_wanted asked for."""
    asked = []

    def note(*, organisation_id, needed_micro, **_):
        asked.append((organisation_id, needed_micro))

    credits_wanted.connect(note)
    yield asked
    credits_wanted.disconnect(note)


def test_a_refused_opening_asks_for_credits(alice, wanted):
    with pytest.raises(InsufficientCredits):
        hold(alice, 101)
    assert wanted == [(alice.id, 101)]


def test_an_opening_that_the_months_cap_refuses_asks_for_none(alice, wanted):
    BudgetSettings.objects.create(organisation=alice, monthly_cap_micro=30)
    with pytest.raises(SpendingCapReached):
        hold(alice, 31)
    assert wanted == []


def test_the_same_opening_twice_is_one_hold(alice):
    assert hold(alice, 60, key="h") == hold(alice, 60, key="h")
    assert balance(alice) == (100, 60, 40)


def test_an_opening_is_recognised_after_the_hold_was_extended_and_settled(alice):
    first = hold(alice, 60, key="h")
    ledger.extend_hold(first.id, to_amount_micro=70)
    ledger.settle_hold(first.id)
    again = hold(alice, 60, key="h")
    assert (again.id, again.amount_micro, again.status) == (first.id, 70, "released")


def test_a_holds_key_cannot_be_used_for_another_amount_reference_or_wallet(alice, mallory):
    hold(alice, 60, key="h")
    for organisation, amount_micro, reference in [
        (alice, 61, "voice_session:1"),
        (alice, 60, "voice_session:2"),
        (mallory, 60, "voice_session:1"),
    ]:
        with pytest.raises(KeyReused):
            hold(organisation, amount_micro, key="h", reference=reference)


def test_a_hold_can_be_extended_up_to_what_is_available(alice):
    state = hold(alice, 60)
    assert ledger.extend_hold(state.id, to_amount_micro=100).amount_micro == 100
    assert balance(alice) == (100, 100, 0)


def test_an_extension_beyond_what_is_available_is_refused_and_changes_nothing(alice):
    state = hold(alice, 60)
    with pytest.raises(InsufficientCredits) as refusal:
        ledger.extend_hold(state.id, to_amount_micro=101, expires_at=LATER + timedelta(hours=1))
    assert (refusal.value.available_micro, refusal.value.needed_micro) == (40, 41)
    assert Hold.objects.get(id=state.id).expires_at == LATER
    assert balance(alice) == (100, 60, 40)


@pytest.mark.parametrize("to_amount_micro", [1, 59, 60])
def test_an_extension_never_shrinks_a_hold(alice, to_amount_micro):
    state = hold(alice, 60)
    assert ledger.extend_hold(state.id, to_amount_micro=to_amount_micro) == state
    assert balance(alice) == (100, 60, 40)


def test_an_extension_prolongs_but_never_shortens_a_hold(alice):
    state = hold(alice, 60)
    for asked, kept in [(NOON, LATER), (LATER + timedelta(hours=1), LATER + timedelta(hours=1))]:
        ledger.extend_hold(state.id, to_amount_micro=60, expires_at=asked)
        assert Hold.objects.get(id=state.id).expires_at == kept


def test_a_plan_is_told_what_is_held_and_what_could_be_held_beside_it(alice):
    BudgetSettings.objects.create(organisation=alice, monthly_cap_micro=90)
    state, told = hold(alice, 60), []

    def plan(found, spendable):
        told.append((found, spendable))
        return found.amount_micro + spendable.amount_micro

    assert ledger.extend_hold_by_plan(state.id, plan).amount_micro == 90
    assert told == [(state, ledger.Spendable(30, "cap"))]
    assert balance(alice) == (100, 90, 10)


def test_a_plan_never_shrinks_a_hold(alice):
    state = hold(alice, 60)
    assert ledger.extend_hold_by_plan(state.id, lambda *_: 1) == state
    assert balance(alice) == (100, 60, 40)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("cap_micro", "refusal"), [(None, InsufficientCredits), (90, SpendingCapReached)])
def test_a_plan_beyond_what_is_there_is_refused_and_changes_nothing(alice, cap_micro, refusal):
    BudgetSettings.objects.update_or_create(organisation=alice, defaults={"monthly_cap_micro": cap_micro})
    state = hold(alice, 60)
    with pytest.raises(refusal):
        ledger.extend_hold_by_plan(state.id, lambda *_: 101 if cap_micro is None else 91)
    assert ledger.hold_state(state.id) == state
    assert balance(alice) == (100, 60, 40)


def test_a_hold_can_be_prolonged_after_a_refund_took_the_rest_away(alice):
    state = hold(alice, 60)
    ledger.claw_back(alice.id, 100, kind="refund", key="r", reference="", description="")
    ledger.extend_hold(state.id, to_amount_micro=60, expires_at=LATER + timedelta(hours=1))
    assert Hold.objects.get(id=state.id).expires_at > LATER


def test_a_closed_hold_cannot_be_extended(alice):
    state = hold(alice, 60)
    ledger.release_hold(state.id)
    with pytest.raises(HoldClosed) as refusal:
        ledger.extend_hold(state.id, to_amount_micro=70)
    assert refusal.value.status == "released"


@pytest.mark.parametrize(
    "use",
    [
        lambda missing: ledger.extend_hold(missing, to_amount_micro=1),
        lambda missing: ledger.capture(missing, 1, key="k"),
        ledger.settle_hold,
        ledger.release_hold,
        ledger.hold_state,
    ],
)
def test_a_hold_that_does_not_exist_is_an_error_of_its_own(use):
    with pytest.raises(HoldNotFound):
        use(uuid.UUID(int=1))


def test_a_capture_leaves_the_balance_and_what_is_available_alone(alice):
    state = hold(alice, 60)
    assert ledger.capture(state.id, 25, key="r1") == ledger.Capture(25, 0, repeated=False)
    assert balance(alice) == (100, 60, 40)


def test_the_same_capture_twice_is_charged_once(alice):
    state = hold(alice, 60)
    ledger.capture(state.id, 25, key="r1")
    assert ledger.capture(state.id, 25, key="r1") == ledger.Capture(25, 0, repeated=True)
    assert ledger.hold_state(state.id).captured_micro == 25


def test_a_captures_key_cannot_be_used_for_another_amount(alice):
    state = hold(alice, 60)
    ledger.capture(state.id, 25, key="r1")
    with pytest.raises(KeyReused):
        ledger.capture(state.id, 26, key="r1")


def test_two_holds_may_use_the_same_captures_key(alice):
    for state in [hold(alice, 30), hold(alice, 30)]:
        assert not ledger.capture(state.id, 5, key="r1").repeated


def test_usage_beyond_the_hold_is_recorded_as_uncollected(alice):
    state = hold(alice, 60)
    ledger.capture(state.id, 50, key="r1")
    assert ledger.capture(state.id, 50, key="r2") == ledger.Capture(10, 40, repeated=False)
    state = ledger.hold_state(state.id)
    assert (state.captured_micro, state.uncollected_micro) == (60, 40)


def test_a_response_that_cost_nothing_is_recorded_too(alice):
    state = hold(alice, 60)
    ledger.capture(state.id, 0, key="r1")
    assert ledger.capture(state.id, 0, key="r1").repeated


@pytest.mark.parametrize("amount_micro", [-1, ledger.MAX_AMOUNT_MICRO + 1])
def test_a_capture_is_not_negative_and_bounded(alice, amount_micro):
    state = hold(alice, 60)
    with pytest.raises(AmountOutOfRange):
        ledger.capture(state.id, amount_micro, key="r1")


def test_what_is_uncollected_stays_within_bounds(alice):
    state = hold(alice, 60)
    Hold.objects.filter(id=state.id).update(uncollected_micro=ledger.MAX_TOTAL_MICRO)
    with pytest.raises(AmountOutOfRange):
        ledger.capture(state.id, 61, key="r1")
    Hold.objects.filter(id=state.id).update(uncollected_micro=0)


def test_charges_to_a_hold_that_is_as_known_are_captures_like_any_other(alice):
    state = ledger.capture_as_known(hold(alice, 60), {"r1": 25, "t1": 0, "r2": 35})
    assert state == ledger.hold_state(state.id)
    assert (state.captured_micro, state.remaining_micro) == (60, 0)
    assert ledger.capture(state.id, 25, key="r1") == ledger.Capture(25, 0, repeated=True)


@pytest.mark.parametrize(
    "meanwhile",
    [
        lambda state: ledger.capture(state.id, 1, key="other"),
        lambda state: ledger.extend_hold(state.id, to_amount_micro=61),
        lambda state: ledger.settle_hold(state.id),
    ],
)
def test_a_hold_that_is_not_as_known_is_not_charged(alice, meanwhile):
    known = hold(alice, 60)
    meanwhile(known)
    before = ledger.hold_state(known.id)
    assert ledger.capture_as_known(known, {"r1": 25}) is None
    assert ledger.hold_state(known.id) == before


def test_what_a_known_hold_does_not_cover_is_not_charged_to_it(alice):
    known = hold(alice, 60)
    assert ledger.capture_as_known(known, {"r1": 25, "r2": 36}) is None
    assert ledger.hold_state(known.id) == known


def test_a_known_hold_is_not_charged_twice_for_one_key(alice):
    known = hold(alice, 60)
    state = ledger.capture_as_known(known, {"r1": 0})
    with pytest.raises(IntegrityError), transaction.atomic():
        ledger.capture_as_known(state, {"r2": 5, "r1": 5})
    assert ledger.hold_state(known.id) == known


@pytest.mark.parametrize("amount_micro, error", [(-1, AmountOutOfRange), (1.0, TypeError)])
def test_a_known_hold_is_charged_whole_amounts_only(alice, amount_micro, error):
    with pytest.raises(error):
        ledger.capture_as_known(hold(alice, 60), {"r1": amount_micro})


def test_what_can_be_held_is_what_is_available_or_what_the_month_allows(alice):
    assert ledger.spendable_of(alice.id) == ledger.Spendable(100, "wallet")
    BudgetSettings.objects.create(organisation=alice, monthly_cap_micro=30)
    hold(alice, 10)
    assert ledger.spendable_of(alice.id) == ledger.Spendable(20, "cap")


def test_of_a_wallet_below_zero_nothing_can_be_held(alice):
    ledger.claw_back(alice.id, 150, kind="refund", key="r", reference="", description="")
    assert ledger.spendable_of(alice.id) == ledger.Spendable(0, "wallet")


def test_a_closed_hold_takes_no_new_capture_but_still_knows_the_old_ones(alice):
    state = hold(alice, 60)
    ledger.capture(state.id, 25, key="r1")
    ledger.settle_hold(state.id)
    assert ledger.capture(state.id, 25, key="r1").repeated
    with pytest.raises(HoldClosed):
        ledger.capture(state.id, 25, key="r2")


def test_settling_writes_one_entry_for_all_that_was_captured_and_frees_the_rest(alice):
    state = hold(alice, 60)
    ledger.capture(state.id, 25, key="r1")
    ledger.capture(state.id, 10, key="r2")
    assert ledger.settle_hold(state.id, description="A call").status == "captured"
    assert entries(alice) == [("usage", -35), ("grant", 100)]
    assert balance(alice) == (65, 0, 65)


def test_the_usage_entry_says_what_it_was_for(alice):
    state = hold(alice, 60, reference="voice_session:7")
    ledger.capture(state.id, 25, key="r1")
    ledger.settle_hold(state.id, description="A call")
    entry = ledger.entries_of(alice.id, limit=1)[0]
    assert (entry.reference, entry.description, entry.balance_after_micro) == ("voice_session:7", "A call", 75)


def test_settling_twice_returns_the_same_state_and_writes_nothing(alice):
    state = hold(alice, 60)
    ledger.capture(state.id, 25, key="r1")
    assert ledger.settle_hold(state.id) == ledger.settle_hold(state.id)
    assert balance(alice) == (75, 0, 75)


def test_settling_what_was_not_used_releases_it_without_an_entry(alice):
    assert ledger.settle_hold(hold(alice, 60).id).status == "released"
    assert entries(alice) == [("grant", 100)]
    assert balance(alice) == (100, 0, 100)


def test_releasing_what_was_used_settles_it(alice):
    state = hold(alice, 60)
    ledger.capture(state.id, 25, key="r1")
    assert ledger.release_hold(state.id).status == "captured"
    assert balance(alice) == (75, 0, 75)


def test_what_a_hold_did_not_cover_is_not_charged(alice):
    state = hold(alice, 60)
    ledger.capture(state.id, 500, key="r1")
    ledger.settle_hold(state.id)
    assert balance(alice) == (40, 0, 40)


def test_a_call_that_was_held_before_a_refund_is_still_charged(alice):
    state = hold(alice, 60)
    ledger.capture(state.id, 25, key="r1")
    ledger.claw_back(alice.id, 100, kind="refund", key="r", reference="", description="")
    ledger.settle_hold(state.id)
    assert balance(alice) == (-25, 0, -25)


def test_a_settlements_description_is_bounded(alice):
    with pytest.raises(InvalidText):
        ledger.settle_hold(hold(alice, 60).id, description="x" * 301)


def test_an_expired_hold_is_settled_from_its_captures(alice):
    state = hold(alice, 60, expires_at=NOON)
    ledger.capture(state.id, 25, key="r1")
    assert [(closed.id, closed.status) for closed in ledger.expire_holds(NOON)] == [(state.id, "expired")]
    assert entries(alice) == [("usage", -25), ("grant", 100)]


def test_an_expired_hold_that_was_not_used_is_only_freed(alice):
    hold(alice, 60, expires_at=NOON)
    ledger.expire_holds(NOON)
    assert entries(alice) == [("grant", 100)]
    assert balance(alice) == (100, 0, 100)


def test_a_second_sweep_finds_nothing(alice):
    hold(alice, 60, expires_at=NOON)
    assert len(ledger.expire_holds(NOON)) == 1
    assert ledger.expire_holds(NOON) == []


def test_a_hold_whose_time_is_not_up_is_left_alone(alice):
    hold(alice, 60, expires_at=NOON + timedelta(microseconds=1))
    assert ledger.expire_holds(NOON) == []


def test_settling_after_the_sweep_returns_the_expired_hold(alice):
    state = hold(alice, 60, expires_at=NOON)
    ledger.capture(state.id, 25, key="r1")
    ledger.expire_holds(NOON)
    assert ledger.settle_hold(state.id).status == "expired"
    assert balance(alice) == (75, 0, 75)


@pytest.mark.parametrize(
    "meanwhile",
    [
        lambda hold_id: ledger.extend_hold(hold_id, to_amount_micro=40, expires_at=LATER),
        lambda hold_id: ledger.settle_hold(hold_id),
    ],
)
def test_the_sweep_leaves_a_hold_that_was_extended_or_settled_after_it_looked(alice, meanwhile, monkeypatch):
    state = hold(alice, 40, expires_at=NOON)
    # Another's credits are held too: closing twice would free them.
    hold(alice, 60)
    lock_hold = ledger._lock_hold

    def lock_after_somebody_else(hold_id):
        monkeypatch.setattr(ledger, "_lock_hold", lock_hold)
        meanwhile(hold_id)
        return lock_hold(hold_id)

    monkeypatch.setattr(ledger, "_lock_hold", lock_after_somebody_else)
    assert ledger.expire_holds(NOON) == []
    assert ledger.hold_state(state.id).status != "expired"


def test_a_broken_wallet_does_not_keep_the_others_holds_open(alice, mallory):
    broken = hold(mallory, 60, expires_at=NOON - timedelta(hours=1))
    sound = hold(alice, 60, expires_at=NOON)
    Wallet.objects.filter(organisation=mallory).update(held_micro=0)
    assert [closed.id for closed in ledger.expire_holds(NOON)] == [sound.id]
    assert balance(alice) == (100, 0, 100)
    assert ledger.hold_state(broken.id).status == "open"
    Wallet.objects.filter(organisation=mallory).update(held_micro=60)


def test_one_sweep_is_bounded(alice, monkeypatch):
    monkeypatch.setattr(ledger, "MAX_EXPIRED_A_SWEEP", 2)
    for _ in range(3):
        hold(alice, 10, expires_at=NOON)
    assert [len(ledger.expire_holds(NOON)) for _ in range(3)] == [2, 1, 0]


def test_a_call_joins_the_callers_transaction(alice):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        hold(alice, 60)
        raise ZeroDivisionError
    assert balance(alice) == (100, 0, 100)


@pytest.fixture
def told():
    """The organisation ids that wallet_changed named."""
    ids = []

    def note(*, organisation_id, **_):
        ids.append(organisation_id)

    wallet_changed.connect(note)
    yield ids
    wallet_changed.disconnect(note)


def test_others_are_told_on_commit_when_the_balance_or_the_holds_changed(
    alice, told, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        state = hold(alice, 60)
        ledger.settle_hold(state.id)
        assert told == []
    assert told == [alice.id, alice.id]


def test_a_repeat_tells_nobody(alice, told, django_capture_on_commit_callbacks):
    give(alice, 5, key="g")
    with django_capture_on_commit_callbacks(execute=True):
        give(alice, 5, key="g")
    assert told == []


def test_a_listener_that_fails_changes_nothing(alice, django_capture_on_commit_callbacks):
    def fail(**_):
        raise RuntimeError("a listener's own fault")

    wallet_changed.connect(fail)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            give(alice, 5, key=a_key())
    finally:
        wallet_changed.disconnect(fail)
    assert balance(alice) == (105, 0, 105)
