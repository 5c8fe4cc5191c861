"""The hold of a call is extended in few statements, by what its limits are while they are locked."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.api_keys import create_key
from billing import ledger
from billing.audit import audit_ledger
from billing.models import Lot, Wallet
from billing.signals import credits_wanted
from tests.voice.conftest import CREDIT
from voice.catalogue.rates import Prices, rate_card
from voice.metering.cover import cover_next_response, refuse_unpayable
from voice.metering.errors import OutOfCredit
from voice.models import Session

pytestmark = pytest.mark.django_db(transaction=True)

# Of gpt-realtime-mini, with nothing written down: a token that is read, and one that is spoken.
INPUT_MICRO, OUTPUT_MICRO = 1500, 3000
ASKED = {"context_tokens": 1450, "wanted_output_tokens": 1024}
WORST_MICRO = 1450 * INPUT_MICRO + 1024 * OUTPUT_MICRO


@pytest.fixture
def prices(catalogue):
    return Prices(rate_card("gpt-realtime-mini", timezone.localdate()), None)


@pytest.fixture
def wanted():
    """What credits_wanted asked for."""
    asked = []

    def note(*, needed_micro, **_):
        asked.append(needed_micro)

    credits_wanted.connect(note)
    yield asked
    credits_wanted.disconnect(note)


def leave(organisation, available_micro):
    available = ledger.balance_of(organisation.id).available_micro
    ledger.adjust(organisation.id, available_micro - available, key="leave", reason="For a test", actor="test")


def is_claimed_as_held(session):
    held_micro = ledger.hold_state(session.hold_id).amount_micro
    return Session.objects.get(id=session.id).spend_cap_micro == held_micro and list(audit_ledger()) == []


def test_a_public_call_holds_more_in_twelve_statements(open_session, prices, django_assert_max_num_queries):
    session = open_session(held_micro=CREDIT, spend_cap_micro=CREDIT)
    with django_assert_max_num_queries(13):  # with COMMIT
        covered = cover_next_response(session.id, prices, **ASKED)
    assert covered.hold.amount_micro > CREDIT
    assert is_claimed_as_held(session)


def test_a_call_of_a_key_without_a_budget_holds_more_in_nine(open_session, prices, django_assert_max_num_queries):
    session = open_session(held_micro=CREDIT)
    with django_assert_max_num_queries(10):  # with COMMIT
        covered = cover_next_response(session.id, prices, **ASKED)
    assert covered.hold.amount_micro > CREDIT


def test_a_call_of_a_key_with_a_budget_claims_of_it(open_session, prices, organisation):
    key, _ = create_key(organisation, name="test", monthly_budget_micro=6 * CREDIT)
    claim = {"api_key": key, "is_member": True, "held_micro": CREDIT, "spend_cap_micro": CREDIT}
    first, second = open_session(**claim), open_session(**claim)
    # Five credits are left of the budget beside the other's claim: enough for a shorter answer.
    assert (
        cover_next_response(first.id, prices, **ASKED).allowance.max_output_tokens
        == (5 * CREDIT - 1450 * INPUT_MICRO) // OUTPUT_MICRO
    )
    assert is_claimed_as_held(first)
    with pytest.raises(OutOfCredit) as raised:
        cover_next_response(second.id, prices, **ASKED)
    assert raised.value.reason == "ceiling"
    assert is_claimed_as_held(second)


def test_granted_credits_whose_time_is_up_pay_for_no_answer(open_session, prices, organisation):
    session = open_session(held_micro=CREDIT)
    leave(organisation, 2 * CREDIT)
    ledger.grant(organisation.id, 100 * CREDIT, key="g", description="", expires_at=timezone.now() + timedelta(days=1))
    expire_now(organisation)
    # One credit of them stays, which the hold was promised: with the two others there are three beside it.
    covered = cover_next_response(session.id, prices, **ASKED)
    assert (covered.allowance.max_output_tokens, covered.allowance.low) == (
        (4 * CREDIT - 1450 * INPUT_MICRO) // OUTPUT_MICRO,
        True,
    )
    assert list(audit_ledger()) == []


def expire_now(organisation):
    """Let the time of all granted credits be up, though nobody has written them off."""
    Lot.objects.filter(expires_at__isnull=False).update(expires_at=timezone.now())
    Wallet.objects.filter(organisation=organisation).update(lots_expire_at=timezone.now())


def test_a_refill_is_asked_for_what_the_wallet_must_have_beside_the_hold(open_session, prices, organisation, wanted):
    session = open_session(held_micro=CREDIT)
    leave(organisation, CREDIT // 2)
    with pytest.raises(OutOfCredit):
        cover_next_response(session.id, prices, **ASKED)
    assert wanted == [WORST_MICRO - CREDIT]


def test_a_shorter_answer_asks_for_a_refill_too(open_session, prices, organisation, wanted):
    session = open_session(held_micro=CREDIT)
    leave(organisation, 3 * CREDIT)
    covered = cover_next_response(session.id, prices, **ASKED)
    assert covered.allowance.low
    assert wanted == [WORST_MICRO - covered.hold.amount_micro]


def test_before_a_change_of_model_as_much_is_asked_for(open_session, prices, organisation, wanted):
    session = open_session(held_micro=CREDIT)
    leave(organisation, CREDIT // 2)
    with pytest.raises(OutOfCredit):
        refuse_unpayable(session.id, prices, **ASKED)
    assert wanted == [1450 * INPUT_MICRO + 120 * OUTPUT_MICRO - CREDIT]
