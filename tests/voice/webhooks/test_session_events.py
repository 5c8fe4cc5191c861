"""Endpoints are told that a call began and how it ended, once, whatever ended it, and no word of it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from voice.metering.sweep import settle_dead_sessions
from voice.models import EndReason, Session, WebhookDelivery
from voice.sessions import records


@pytest.fixture
def told(endpoint):
    """Return (type, data) of everything the endpoint is told."""
    return lambda: list(WebhookDelivery.objects.filter(endpoint=endpoint).values_list("event_type", "data"))


def test_a_call_that_begins_is_told_of(open_session, told):
    session = open_session(state="admitted", metadata={"order": "A-17"})
    records.begin(session.id)
    ((type, data),) = told()
    assert type == "voice_session.started"
    assert data["session_id"] == str(session.id) and data["metadata"] == {"order": "A-17"}


def test_a_call_that_ends_is_told_of_once(open_session, told):
    session = open_session()
    records.end(session.id, EndReason.CALLER_HUNG_UP, duration_ms=4200, was_answered=True)
    records.end(session.id, EndReason.CALLER_HUNG_UP)
    ((type, data),) = told()
    assert type == "voice_session.ended"
    assert (data["end_reason"], data["duration_ms"]) == ("caller_hung_up", 4200)


@pytest.mark.parametrize("reason", [EndReason.UPSTREAM_FAILED, EndReason.INTERNAL_ERROR])
def test_a_call_that_a_fault_ended_failed(open_session, told, reason):
    records.end(open_session().id, reason)
    assert [type for type, _ in told()] == ["voice_session.failed"]


def test_a_call_whose_process_died_failed(open_session, told):
    session = open_session()
    Session.objects.filter(pk=session.pk).update(seen_at=timezone.now() - timedelta(minutes=10))
    settle_dead_sessions(timezone.now())
    ((type, data),) = told()
    assert (type, data["end_reason"]) == ("voice_session.failed", "process_died")


def test_a_ticket_that_nobody_used_was_no_call(open_session, told):
    open_session(state="admitted", ticket_expires_at=timezone.now() - timedelta(minutes=1))
    settle_dead_sessions(timezone.now())
    assert told() == []


def test_a_call_s_own_address_is_told_too(open_session, receiver, told):
    session = open_session(webhook_url=receiver.url + "/of-this-call")
    records.end(session.id, EndReason.CALLER_HUNG_UP)
    assert {one.target for one in WebhookDelivery.objects.all()} == {receiver.url, receiver.url + "/of-this-call"}


def test_a_call_with_all_the_metadata_there_may_be_ends_all_the_same(open_session, told):
    metadata = {f"{number:064}": "𝄞" * 512 for number in range(16)}
    records.end(open_session(metadata=metadata).id, EndReason.CALLER_HUNG_UP)
    ((_, data),) = told()
    assert data["metadata"] == metadata
