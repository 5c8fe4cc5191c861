"""Real threads on one real database: SQLite's file, or PostgreSQL (see test_on_postgresql.py)."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import connection
from django.db.models import Sum
from django.utils import timezone

from accounts.models import Organisation
from accounts.signals import person_verified
from billing import ledger
from billing.exceptions import HoldClosed, InsufficientCredits, KeyReused, LedgerError
from billing.models import Entry, Hold, SignUpDay, SignUpGrant, Wallet
from billing.sign_up_grants import grant_sign_up_credits
from tests.billing.money import LATER, NOON, an_organisation, balance, give, hold

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.db_concurrency]

THREADS = 20


def at_once(call, arguments=range(THREADS)):
    """Run `call` with each argument in a thread of its own, all let go together; LedgerErrors are results too."""
    arguments = list(arguments)
    start = Barrier(len(arguments))

    def run(argument):
        try:
            start.wait(timeout=60)
            return call(argument)
        except LedgerError as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(arguments)) as threads:
        return list(threads.map(run, arguments))


def of_type(results, kind):
    return [result for result in results if isinstance(result, kind)]


def test_twenty_holds_on_one_wallet_never_promise_more_than_it_has(alice):
    results = at_once(lambda number: hold(alice, 9, key=f"h{number}"))
    assert len(of_type(results, ledger.HoldState)) == 11
    assert len(of_type(results, InsufficientCredits)) == 9
    assert balance(alice) == (100, 99, 1)


@pytest.mark.parametrize(
    "claim",
    [
        lambda organisation: give(organisation, 5, key="one key"),
        lambda organisation: hold(organisation, 5, key="one key"),
    ],
    ids=["entry", "hold"],
)
def test_of_twenty_wallets_that_race_for_one_key_one_gets_it(claim):
    """Each waits for its own wallet's lock, so only the key's index stands between them."""
    organisations = [an_organisation(f"Organisation {number}", credits_micro=10) for number in range(THREADS)]
    results = at_once(claim, organisations)
    assert len(of_type(results, KeyReused)) == THREADS - 1


def test_twenty_calls_on_one_wallet_never_overspend(alice):
    def call(number):
        state = hold(alice, 3, key=f"h{number}")
        for response in range(3):
            ledger.capture(state.id, 2, key=f"r{response}")
            ledger.extend_hold(state.id, to_amount_micro=5 + 2 * response)
        return ledger.settle_hold(state.id)

    at_once(call)
    ledger.expire_holds(LATER)
    spent = -sum(entry.amount_micro for entry in Entry.objects.filter(kind="usage"))
    assert balance(alice) == (100 - spent, 0, 100 - spent)
    assert 0 < spent <= 100


def test_extensions_share_what_is_left(alice):
    holds = [hold(alice, 1) for _ in range(THREADS)]
    results = at_once(lambda state: ledger.extend_hold(state.id, to_amount_micro=11), holds)
    assert len(of_type(results, ledger.HoldState)) == 8
    assert balance(alice) == (100, 100, 0)


def test_one_key_in_twenty_threads_makes_one_entry(alice):
    results = at_once(lambda _: give(alice, 5, key="g"))
    assert len(set(results)) == 1
    assert balance(alice) == (105, 0, 105)


def test_one_key_for_two_amounts_lets_one_of_them_in(alice):
    results = at_once(lambda number: give(alice, 5 + number % 2, key="g"))
    assert len(of_type(results, KeyReused)) == THREADS // 2
    assert Entry.objects.filter(key="g").count() == 1


def test_one_key_in_twenty_threads_makes_one_hold(alice):
    results = at_once(lambda _: hold(alice, 60, key="h"))
    assert len({state.id for state in results}) == 1
    assert balance(alice) == (100, 60, 40)


def test_one_response_reported_twenty_times_is_charged_once(alice):
    state = hold(alice, 60)
    results = at_once(lambda _: ledger.capture(state.id, 25, key="r1"))
    assert [taken.repeated for taken in results].count(False) == 1
    assert ledger.hold_state(state.id).captured_micro == 25


def test_captures_share_the_hold_and_lose_nothing(alice):
    state = hold(alice, 60)
    at_once(lambda number: ledger.capture(state.id, 7, key=f"r{number}"))
    state = ledger.hold_state(state.id)
    assert (state.captured_micro, state.uncollected_micro) == (60, 7 * THREADS - 60)


def test_a_hold_settled_twenty_times_at_once_is_paid_once(alice):
    state = hold(alice, 60)
    ledger.capture(state.id, 25, key="r1")
    results = at_once(lambda _: ledger.settle_hold(state.id))
    assert {result.status for result in results} == {"captured"}
    assert Entry.objects.filter(hold_id=state.id).count() == 1
    assert balance(alice) == (75, 0, 75)


def test_sweeps_and_settlements_that_meet_pay_each_hold_once(alice):
    holds = [hold(alice, 5, expires_at=NOON) for _ in range(THREADS // 2)]
    for state in holds:
        ledger.capture(state.id, 2, key="r1")
    sweeps = [lambda: ledger.expire_holds(NOON)] * (THREADS // 2)
    settlements = [lambda state=state: ledger.settle_hold(state.id) for state in holds]
    at_once(lambda act: act(), sweeps + settlements)
    assert Entry.objects.filter(kind="usage").count() == len(holds)
    assert not Hold.objects.filter(status="open").exists()
    assert balance(alice) == (80, 0, 80)


def test_twenty_charges_to_one_hold_as_known_let_one_of_them_in(alice):
    state = hold(alice, 60)
    results = at_once(lambda number: ledger.capture_as_known(state, {f"r{number}": 1}))
    assert [charged.captured_micro for charged in results if charged] == [1]
    assert ledger.hold_state(state.id).captured_micro == 1


def test_captures_that_meet_their_holds_settlement_are_paid_or_refused(alice):
    """A capture locks its hold alone: what it took before the settlement is in the entry, and after it nothing is."""
    holds = [hold(alice, 5) for _ in range(THREADS // 2)]
    captures = [lambda state=state: ledger.capture(state.id, 2, key="r1") for state in holds]
    settlements = [lambda state=state: ledger.settle_hold(state.id) for state in holds]
    results = at_once(lambda act: act(), captures + settlements)
    paid = [taken for taken in results if isinstance(taken, ledger.Capture)]
    assert len(of_type(results, HoldClosed)) == len(holds) - len(paid)
    assert balance(alice) == (100 - 2 * len(paid), 0, 100 - 2 * len(paid))


def test_a_wallet_opened_twenty_times_at_once_is_one(db):
    bob = Organisation.objects.create(name="Bob's")
    at_once(lambda _: ledger.open_wallet(bob.id))
    assert Wallet.objects.filter(organisation=bob).count() == 1


def test_wallets_do_not_wait_for_ever_on_each_other(alice, mallory):
    """Two wallets, moved in both orders: no deadlock, since no call locks more than one."""
    at_once(lambda number: give([alice, mallory][number % 2], 1, key=f"g{number}"))
    assert balance(alice) == balance(mallory) == (110, 0, 110)


def test_a_person_verified_twenty_times_at_once_is_granted_once(alice, mallory, settings):
    settings.SIGN_UP_CREDITS = 1000
    both = [alice, mallory] * (THREADS // 2)
    at_once(lambda organisation: person_verified.send(None, organisation_id=organisation.id, person_key="p"), both)
    assert Entry.objects.filter(key="sign_up:p").count() == 1
    assert SignUpGrant.objects.get().status == "granted"


def test_the_days_ceiling_on_sign_up_credits_is_exact(settings):
    settings.SIGN_UP_CREDITS = 1000
    settings.SIGN_UP_CREDITS_A_DAY = 7500
    organisations = [an_organisation(f"Farm {number}") for number in range(THREADS)]
    granted = at_once(lambda organisation: grant_sign_up_credits(organisation.id, str(organisation.id)), organisations)
    assert granted.count(True) == 7
    assert SignUpGrant.objects.filter(status="granted").count() == 7
    assert SignUpGrant.objects.filter(status="refused").count() == THREADS - 7
    assert SignUpDay.objects.get(day=timezone.localdate()).granted_micro == 7000 * ledger.MICRO


def test_usage_refunds_and_expiry_that_meet_leave_every_lot_right(alice):
    """Alice's 100 are joined by 200 bought and 100 that expire while calls, refunds and sweeps go on."""
    ledger.purchase(alice.id, 200, key="p", reference="purchase:1", description="")
    # The clock says that they have expired: what a call was promised is only what was held before.
    ledger.grant(alice.id, 100, key="e", description="", expires_at=timezone.now())

    def call(number):
        state = hold(alice, 10, key=f"h{number}")
        ledger.capture(state.id, 7, key="r1")
        ledger.settle_hold(state.id)

    def refund(number):
        ledger.claw_back(alice.id, 15, kind="refund", key=f"r{number}", reference="purchase:1", description="")

    def sweep(_):
        ledger.expire_granted_credits(timezone.now())

    at_once(lambda number: [call, refund, sweep][number % 3](number), range(21))
    assert Entry.objects.filter(kind="expiry").aggregate(total=Sum("amount_micro"))["total"] == -100
    used = Entry.objects.filter(kind="usage").count()
    assert balance(alice) == (300 - 7 * 15 - 7 * used, 0, 300 - 7 * 15 - 7 * used)
    assert sum(lot.remaining_micro for lot in ledger.lots_of(alice.id)) == balance(alice)[0]


def test_refunds_of_more_than_is_left_and_calls_that_meet_never_lose_a_credit(alice):
    for number in range(4):
        ledger.purchase(alice.id, 25, key=f"p{number}", reference=f"purchase:{number}", description="")

    def call(number):
        state = hold(alice, 20, key=f"h{number}")
        ledger.capture(state.id, 20, key="r1")
        ledger.settle_hold(state.id)

    def refund(number):
        ledger.claw_back(alice.id, 25, kind="dispute", key=f"d{number}", reference=f"purchase:{number}", description="")

    def give_back(number):
        ledger.give_back(alice.id, 5, kind="dispute", key=f"b{number}", reference=f"purchase:{number}", description="")

    at_once(lambda number: [call, call, refund, give_back][number % 4](number // 4), range(16))
    in_lots = sum(lot.remaining_micro for lot in ledger.lots_of(alice.id))
    assert in_lots == max(0, balance(alice)[0])
    assert balance(alice)[1] == 0


def test_twenty_sweeps_write_an_expired_lot_off_once(alice):
    ledger.grant(alice.id, 50, key="e", description="", expires_at=NOON)
    at_once(lambda _: ledger.expire_granted_credits(timezone.now()))
    assert Entry.objects.filter(kind="expiry").count() == 1
    assert balance(alice) == (100, 0, 100)


def test_a_call_held_before_the_expiry_keeps_its_credits_whoever_sweeps(alice):
    soon = timezone.now() + timedelta(days=1)
    ledger.grant(alice.id, 50, key="e", description="", expires_at=soon)
    states = [hold(alice, 7, key=f"h{number}") for number in range(6)]
    for state in states:
        ledger.capture(state.id, 7, key="r1")
    sweeps = [lambda: ledger.expire_granted_credits(soon)] * 6
    at_once(lambda act: act(), sweeps + [lambda state=state: ledger.settle_hold(state.id) for state in states])
    ledger.expire_granted_credits(soon)
    assert Entry.objects.filter(kind="expiry").aggregate(total=Sum("amount_micro"))["total"] == -8
    assert [lot.remaining_micro for lot in ledger.lots_of(alice.id)] == [100]
