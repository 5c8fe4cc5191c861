"""What tests of notes share: a conversation that was kept, and a provider that answers by a script."""

from types import SimpleNamespace

import pytest

from outbox.models import OutboxMessage
from tests import factories
from tests.fakes.chat_server import ChatServer
from voice import note_work
from voice.models import CollectedFields, Note, Transcript, TranscriptTurn
from voice.notes.summarise import request_note

SAID = (
    ("agent", "Hello, Rosewood Dental, how can I help?"),
    ("caller", "This is Dana Scully, I would like a check-up."),
    ("agent", "Tuesday at ten?"),
    ("caller", "Yes, that is perfect."),
)


@pytest.fixture
def keep(agent):
    """Make an ended call of which these turns, (speaker, text), and these collected fields were kept."""

    def make(said=SAID, collected=None, of=agent):
        session = factories.make_session(of)
        if said:
            transcript = Transcript.objects.create(
                session=session, organisation=session.organisation, deletes_at=session.ended_at
            )
            for index, (speaker, text) in enumerate(said):
                factories.make_turn(session, index, speaker)
                TranscriptTurn.objects.create(transcript=transcript, index=index, text=text)
        if collected:
            CollectedFields.objects.create(
                session=session, organisation=session.organisation, task_name="book_appointment", fields=collected
            )
        return session

    return make


@pytest.fixture
def provider(settings):
    """Start a provider that answers by a script, and have notes written by it."""
    servers = []

    def start(*script):
        server = ChatServer(script).__enter__()
        servers.append(server)
        settings.NOTES_API_KEY, settings.NOTES_API_URL = "sk-test", server.url
        return server

    yield start
    for server in servers:
        server.__exit__()


@pytest.fixture
def note_of(db):
    """Ask for the session's note, take it up once, and return it; what the try raised is `.raised`."""

    def write(session):
        request_note(session.pk)
        note = Note.objects.get(session=session)
        return take_up(note)

    return write


def take_up(note):
    """Let a worker take the note up now."""
    raised = None
    try:
        note_work.write_note({"note_id": str(note.pk)})
    except Exception as error:
        raised = error
    note = Note.objects.get(pk=note.pk)
    note.raised = raised
    return note


def messages(kind):
    return list(OutboxMessage.objects.filter(kind=kind))


def wallet(organisation):
    from billing import ledger

    balance = ledger.balance_of(organisation.pk)
    return SimpleNamespace(balance=balance.balance_micro, held=balance.held_micro)
