from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone
from redis.exceptions import ConnectionError as RedisConnectionError

from voice.admission import tickets
from voice.admission.rating_token import rating_token
from voice.models import BlockedNetwork, Session, Switches


@pytest.fixture
def session(open_session):
    return open_session(state="admitted")


def refused(ticket):
    with pytest.raises(tickets.TicketInvalid) as raised:
        tickets.redeem(ticket)
    return raised.value.code


def test_a_ticket_opens_its_session(session):
    assert tickets.redeem(tickets.issue(session.id)) == session.id


def test_a_ticket_opens_it_once(session):
    ticket = tickets.issue(session.id)
    tickets.redeem(ticket)
    assert refused(ticket) == "used"


@pytest.mark.parametrize("state", ["live", "ended"])
def test_a_ticket_is_used_once_even_if_the_cache_forgets(session, state):
    ticket = tickets.issue(session.id)
    tickets.redeem(ticket)
    Session.objects.update(state=state)
    cache.clear()
    assert refused(ticket) == "used"


@pytest.mark.parametrize("trouble", [RedisConnectionError, OSError])
def test_a_ticket_opens_its_session_while_the_cache_is_away(session, monkeypatch, trouble):
    def away(*_):
        raise trouble

    ticket = tickets.issue(session.id)
    monkeypatch.setattr(cache, "add", away)
    assert tickets.redeem(ticket) == session.id
    Session.objects.update(state="live")
    assert refused(ticket) == "used"


@pytest.mark.parametrize("forged", ["", "x", "a:b:c", "x" * 1000, "\x00", "\ud800"])
def test_garbage_is_no_ticket(db, forged):
    assert refused(forged) == "invalid"


def test_a_changed_ticket_is_no_ticket(session):
    ticket = tickets.issue(session.id)
    assert refused(ticket[:-1] + ("A" if ticket[-1] != "A" else "B")) == "invalid"


def test_a_signature_of_something_else_is_no_ticket(session):
    assert refused(rating_token(session.id)) == "invalid"


def test_a_ticket_of_a_session_that_is_gone_is_invalid(session):
    ticket = tickets.issue(session.id)
    session.delete()
    assert refused(ticket) == "invalid"


def test_an_old_signature_has_expired(session, settings):
    ticket = tickets.issue(session.id)
    settings.TICKET_LIFETIME_S = -1
    assert refused(ticket) == "expired"


def test_a_ticket_has_expired_when_its_session_says_so(session):
    Session.objects.update(ticket_expires_at=timezone.now() - timedelta(seconds=1))
    assert refused(tickets.issue(session.id)) == "expired"


@pytest.mark.parametrize("decided", ["pause", "suspend", "switch off", "block", "delete"])
def test_what_the_operator_decided_meanwhile_revokes_it(session, agent, organisation, decided):
    ticket = tickets.issue(session.id)
    match decided:
        case "pause":
            Switches.objects.create(calls_paused=True)
        case "suspend":
            type(organisation).objects.update(suspended_at=timezone.now())
        case "switch off":
            type(agent).objects.update(is_active=False)
        case "block":
            BlockedNetwork.objects.create(network="203.0.113.0/24", reason="abuse")
        case "delete":
            agent.delete()
    assert refused(ticket) == "revoked"


def test_a_ticket_is_looked_at_in_three_statements(open_session, django_assert_max_num_queries):
    ticket = tickets.issue(open_session(state="admitted").id)
    with django_assert_max_num_queries(3):
        tickets.redeem(ticket)
