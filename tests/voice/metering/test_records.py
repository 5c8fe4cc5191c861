"""Usage on the books at once: all that waits, in four statements, if the hold is as it was known."""

import pytest

from billing import ledger
from billing.audit import audit_ledger
from tests.voice.conftest import CREDIT
from voice.catalogue.rate_card import Kind
from voice.metering.rating import Line, Rating
from voice.metering.records import Used, record_at_once, record_usage
from voice.models import Session, UsageRecord

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.each_database]


def used(name="resp_1", amount_micro=CREDIT, source="response"):
    lines = (Line(Kind.AUDIO_OUT, 1, amount_micro * 10**6, amount_micro),)
    return Used(source, name, "gpt-realtime-mini", {"output_tokens": 1}), Rating(lines, amount_micro)


@pytest.fixture
def session(open_session):
    return open_session(held_micro=10 * CREDIT)


def known(session):
    return ledger.hold_state(session.hold_id)


def nothing_is_recorded(session):
    session.refresh_from_db()
    return not UsageRecord.objects.exists() and session.captured_micro == known(session).captured_micro == 0


def test_a_turn_of_a_live_call_takes_four_statements_in_one_transaction(session, django_assert_num_queries):
    hold = known(session)
    with django_assert_num_queries(6):  # with BEGIN and COMMIT
        hold = record_at_once(session.id, hold, [used(), used("item_1", CREDIT // 2, "transcription")])
    assert hold == known(session)
    assert hold.captured_micro == Session.objects.get().captured_micro == CREDIT + CREDIT // 2
    assert list(UsageRecord.objects.order_by("id").values_list("captured_micro", flat=True)) == [CREDIT, CREDIT // 2]
    assert list(audit_ledger()) == []


def test_what_it_recorded_is_a_repeat_for_whoever_records_with_care(session):
    record_at_once(session.id, known(session), [used()])
    assert record_usage(session.id, *used()).repeated


def test_a_usage_that_was_recorded_before_changes_nothing(session):
    record_usage(session.id, *used())
    assert record_at_once(session.id, known(session), [used("resp_2"), used()]) is None
    session.refresh_from_db()
    assert (session.captured_micro, UsageRecord.objects.count(), known(session).captured_micro) == (CREDIT, 1, CREDIT)


def test_the_same_usage_twice_changes_nothing(session):
    assert record_at_once(session.id, known(session), [used(), used()]) is None
    assert nothing_is_recorded(session)


def test_more_than_the_hold_covers_changes_nothing(session):
    assert record_at_once(session.id, known(session), [used("a", 6 * CREDIT), used("b", 5 * CREDIT)]) is None
    assert nothing_is_recorded(session)


def test_a_hold_that_was_closed_meanwhile_changes_nothing(session):
    hold = known(session)
    ledger.settle_hold(session.hold_id)
    assert record_at_once(session.id, hold, [used()]) is None
    assert nothing_is_recorded(session)


def test_a_hold_that_somebody_else_charged_or_extended_changes_nothing(session):
    hold = known(session)
    ledger.extend_hold(session.hold_id, to_amount_micro=11 * CREDIT)
    assert record_at_once(session.id, hold, [used()]) is None
    hold = known(session)
    ledger.capture(session.hold_id, 0, key="zero")
    assert record_at_once(session.id, hold, [used()]) is not None  # nothing was taken: as known
    assert record_at_once(session.id, hold, [used("resp_2")]) is None
