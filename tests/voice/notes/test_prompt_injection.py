"""Whatever is said in a call, its note has our shape, belongs to its own organisation, and nothing else happens."""

import json
from datetime import datetime

import pytest

from local_models import chat_completions
from tests.fakes.chat_server import Reply, answering, valid_answer
from tests.voice.notes.nasty import NASTY, VICTIM
from voice.models import Note
from voice.notes.reading import text_of
from voice.notes.schema import OUTCOMES, SENTIMENTS

GREETING = ("agent", "Hello, Rosewood Dental, how can I help?")


def said_by(nasty):
    return (GREETING, ("caller", "This is Dana Scully."), ("agent", "Go on."), ("caller", nasty.said))


@pytest.mark.parametrize("nasty", NASTY.values(), ids=NASTY)
def test_a_model_that_obeys_the_caller_gets_nowhere(nasty, keep, provider, note_of, organisation):
    provider(nasty.obeyed)
    session = keep(said=said_by(nasty))
    note = note_of(session)
    assert note.reason == nasty.reason
    assert note.state == ("failed" if nasty.reason else "ready")
    assert (note.session_id, note.organisation_id) == (session.pk, organisation.pk)
    assert VICTIM not in json.dumps(note.content)
    assert Note.objects.count() == 1


@pytest.mark.parametrize("nasty", NASTY.values(), ids=NASTY)
def test_what_is_said_reaches_the_model_as_data_and_nothing_else(nasty, keep, provider, note_of):
    server = provider(answering(valid_answer()))
    note_of(keep(said=(GREETING,)))
    note_of(keep(said=said_by(nasty)))
    calm, attacked = server.requests[0], server.requests[-1]
    system, user = attacked["messages"]
    assert system == calm["messages"][0]
    assert user["role"] == "user"
    turns = json.loads(user["content"])["turns"]
    assert [turn["turn"] for turn in turns] == [0, 1, 2, 3]
    assert [turn["speaker"] for turn in turns] == ["agent", "caller", "agent", "caller"]
    assert {**attacked, "messages": 0} == {**calm, "messages": 0}


@pytest.mark.parametrize("nasty", NASTY.values(), ids=NASTY)
def test_the_embedded_model_writes_an_ordinary_note_about_it(nasty, keep, provider, note_of, settings, monkeypatch):
    server = provider(Reply())
    monkeypatch.setattr(server, "_answer", lambda handler: send_embedded(server, handler))
    settings.NOTES_API_KEY, settings.LOCAL_MODELS_URL = "", server.url
    note = note_of(keep(said=said_by(nasty)))
    assert (note.state, note.written_by, note.model_slug) == ("ready", "embedded", "parley-receptionist")
    text = text_of(note)
    assert text.outcome in OUTCOMES
    assert text.sentiment in SENTIMENTS
    assert "PWNED" not in text.summary
    assert "4111" not in json.dumps(note.content)


def send_embedded(server, handler):
    """Answer with what the embedded models' server answers, without starting its speech."""
    request = chat_completions.parse(server.requests[-1])
    body = json.dumps(chat_completions.as_object(chat_completions.complete(request, datetime(2026, 11, 22, 10))))
    handler.send_response(200)
    handler.send_header("content-length", str(len(body.encode())))
    handler.end_headers()
    handler.wfile.write(body.encode())


def test_unseen_characters_reach_neither_the_model_nor_the_note(keep, provider, note_of):
    nasty = NASTY["unseen_characters"]
    server = provider(nasty.obeyed)
    note = note_of(keep(said=said_by(nasty)))
    assert text_of(note).summary == "Dana called."
    assert json.loads(server.requests[0]["messages"][1]["content"])["turns"][3]["text"] == "Hello there."
