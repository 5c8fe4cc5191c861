from datetime import timedelta

from django.utils import timezone

from billing import ledger
from tests.factories import MICRO, make_session


def test_the_balance_is_what_the_wallet_holds(client, cast):
    client.force_login(cast.alice)
    assert b"1,000.00" in client.get("/console/").content


def test_held_credits_are_shown_while_there_are_some(client, cast):
    client.force_login(cast.alice)
    assert b"Held for calls" not in client.get("/console/").content
    until = timezone.now() + timedelta(minutes=5)
    ledger.open_hold(cast.organisation.pk, 25 * MICRO, key="h", reference="voice_session:x", expires_at=until)
    page = client.get("/console/").content
    assert b"Held for calls" in page and b"25.00" in page


def test_a_newcomer_is_led_to_their_first_agent(client, cast):
    client.force_login(cast.mallory)
    page = client.get("/console/").content
    assert b"Your first agent is a minute away" in page and b"No calls yet" in page


def test_the_latest_calls_are_there_and_unused_tickets_are_not(client, cast, agent):
    session = make_session(agent)
    unused = make_session(agent, started_at=None, state="admitted")
    client.force_login(cast.bob)
    page = client.get("/console/").content.decode()
    assert str(session.pk) in page and str(unused.pk) not in page
