from datetime import timedelta

import pytest
from django.utils import timezone

from billing import ledger
from billing.audit import audit_ledger
from tests.voice.conftest import CREDIT
from voice.metering.rating import Rating
from voice.metering.records import Used, record_usage
from voice.metering.sweep import settle_dead_sessions
from voice.tasks import forget_client_addresses, sweep_sessions

LATER = timedelta(minutes=2)


def use(session, amount_micro):
    record_usage(session.id, Used("response", "resp_1", "gpt-realtime-mini", {}), Rating((), amount_micro))


def balance(organisation):
    state = ledger.balance_of(organisation.id)
    return state.balance_micro, state.held_micro


def test_a_call_whose_process_died_is_settled_from_its_captures_exactly_once(open_session, organisation):
    session = open_session()
    use(session, 3 * CREDIT)
    now = timezone.now() + LATER
    assert [settle_dead_sessions(now) for _ in range(3)] == [1, 0, 0]
    session.refresh_from_db()
    assert (session.state, session.end_reason, session.outcome) == ("ended", "process_died", "cut")
    assert session.captured_micro == 3 * CREDIT
    assert balance(organisation) == (997 * CREDIT, 0)
    assert [entry.kind for entry in ledger.entries_of(organisation.id, limit=9)] == ["usage", "grant"]
    assert list(audit_ledger()) == []


def test_a_dead_call_lasted_until_it_was_last_seen(open_session):
    began = timezone.now() - timedelta(minutes=10)
    session = open_session(started_at=began, seen_at=began + timedelta(seconds=95))
    settle_dead_sessions(timezone.now())
    session.refresh_from_db()
    assert (session.duration_ms, session.ended_at) == (95_000, session.seen_at)


def test_a_call_seen_lately_is_left_alone(open_session, organisation):
    session = open_session()
    assert settle_dead_sessions(timezone.now() + timedelta(seconds=59)) == 0
    session.refresh_from_db()
    assert session.state == "live"
    assert balance(organisation) == (1000 * CREDIT, 10 * CREDIT)


def test_an_unused_ticket_gives_its_hold_back(open_session, organisation):
    session = open_session(state="admitted")
    assert settle_dead_sessions(timezone.now() + timedelta(seconds=59)) == 0
    assert settle_dead_sessions(timezone.now() + timedelta(seconds=61)) == 1
    session.refresh_from_db()
    assert (session.state, session.end_reason, session.outcome) == ("ended", "ticket_unused", "")
    assert balance(organisation) == (1000 * CREDIT, 0)


def test_a_hold_that_outlived_every_session_is_expired(organisation):
    now = timezone.now()
    ledger.open_hold(organisation.id, CREDIT, key="lost", reference="", expires_at=now + timedelta(hours=1))
    settle_dead_sessions(now + timedelta(hours=2))
    assert balance(organisation) == (1000 * CREDIT, 0)


def test_one_broken_session_does_not_keep_the_others_open(open_session):
    broken, good = open_session(), open_session()
    broken.hold_id = broken.id  # a hold that does not exist
    broken.save()
    assert settle_dead_sessions(timezone.now() + LATER) == 1
    good.refresh_from_db()
    assert good.state == "ended"


def test_the_task_may_run_twice(open_session):
    session = open_session(seen_at=timezone.now() - LATER)
    sweep_sessions()
    sweep_sessions()
    session.refresh_from_db()
    assert session.end_reason == "process_died"


@pytest.mark.parametrize(("state", "days", "kept"), [("ended", 31, False), ("ended", 29, True), ("live", 31, True)])
def test_addresses_of_old_calls_are_forgotten(open_session, state, days, kept):
    session = open_session(state=state, created_at=timezone.now() - timedelta(days=days))
    forget_client_addresses()
    session.refresh_from_db()
    assert bool(session.client_ip) == kept
