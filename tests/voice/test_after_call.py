import pytest

from tests.factories import make_agent, make_organisation, make_session, make_turn
from voice.after_call import follow_up
from voice.models import Note, WebhookDelivery, WebhookEndpoint
from voice.transcripts import store
from voice.transcripts.recorder import TurnText


@pytest.fixture
def agent(db):
    agent = make_agent(make_organisation())
    WebhookEndpoint.objects.create(
        organisation=agent.organisation, url="https://example.com/hook", event_types=["transcript.ready"], secret="s"
    )
    return agent


def ended(agent, **consent):
    session = make_session(agent, **consent)
    make_turn(session, 0, "caller")
    store.save(session, [TurnText(0, "I am Ada.")])
    return session


def follow(session):
    follow_up({"session_id": str(session.pk)})


def test_a_kept_conversation_is_told_of_once_without_its_words_and_has_a_note(agent):
    session = ended(agent, transcript_policy="ask", consent=True)
    follow(session)
    follow(session)
    delivery = WebhookDelivery.objects.get()
    assert (delivery.event_type, delivery.data["session_id"], delivery.data["turns"]) == (
        "transcript.ready",
        str(session.pk),
        1,
    )
    assert "Ada" not in str(delivery.data)
    assert Note.objects.filter(session=session).count() == 1


def test_of_a_booking_without_a_transcript_no_transcript_is_told(agent):
    session = ended(agent, transcript_policy="ask", consent=False)
    store.save_fields(session.pk, "c1", "book_appointment", {"name": "Ada"})
    follow(session)
    assert not WebhookDelivery.objects.exists()
    assert Note.objects.filter(session=session).exists()


def test_a_conversation_that_is_gone_is_followed_by_nothing(agent):
    session = ended(agent)
    session_id = session.pk
    session.turns.all().delete()
    session.delete()
    follow_up({"session_id": str(session_id)})
    assert not Note.objects.exists()
