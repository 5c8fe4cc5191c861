"""Where notes meet the rest: written when a kept call ends, told to webhooks without a word, deleted with the words."""

import pytest
from django.db import transaction

from tests import factories
from tests.fakes.chat_server import ChatServer, answering, valid_answer
from voice.models import CollectedFields, Note, Transcript, TranscriptTurn, WebhookDelivery, WebhookEndpoint
from voice.note_work import export_note, material_of
from voice.transcripts.deletion import delete_words
from voice.transcripts.store import announce_end

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ended(agent, settings):
    """A kept call that has just ended: everything that follows has been done when this returns."""
    session = factories.make_session(agent)
    transcript = Transcript.objects.create(
        session=session, organisation=session.organisation, deletes_at=session.ended_at
    )
    for index, (speaker, text) in enumerate([("agent", "Hello?"), ("caller", "This is Dana Scully.")]):
        factories.make_turn(session, index, speaker)
        TranscriptTurn.objects.create(transcript=transcript, index=index, text=text)
    WebhookEndpoint.objects.create(
        organisation=session.organisation,
        url="http://127.0.0.1:1/",
        event_types=["note.ready"],
        secret="whsec_aGVsbG8=",
    )
    with ChatServer([answering(valid_answer())]) as server:
        settings.NOTES_API_KEY, settings.NOTES_API_URL = "sk-test", server.url
        with transaction.atomic():
            announce_end(session.pk)
    return session


def test_the_end_of_a_kept_call_leads_to_its_note(ended):
    assert Note.objects.get(session=ended).state == "ready"


def test_note_ready_is_told_once_and_without_a_word_of_it(ended):
    delivery = WebhookDelivery.objects.get(event_type="note.ready")
    note = Note.objects.get()
    assert delivery.data == {
        "note_id": str(note.pk),
        "session_id": str(ended.pk),
        "agent_id": str(ended.agent_id),
        "outcome": "task_completed",
        "sentiment": "positive",
        "written_by": "model",
        "charged_micro": note.charged_micro,
    }


def test_deleting_a_conversations_words_empties_its_note(ended):
    assert export_note(ended.pk)["summary"].startswith("Dana Scully")
    assert delete_words([ended.pk])["note"] == 1
    note = Note.objects.get()
    assert (note.state, note.content) == ("forgotten", {})
    assert export_note(ended.pk) is None


def test_of_two_finished_tasks_the_later_one_is_right(agent):
    session = factories.make_session(agent)
    for number, fields in enumerate([{"name": "Dana", "phone": "1"}, {"name": "Dana Scully"}]):
        CollectedFields.objects.create(
            session=session, organisation=session.organisation, task_name="book", call_id=f"c{number}", fields=fields
        )
    assert material_of(session.pk).collected == {"name": "Dana Scully", "phone": "1"}
