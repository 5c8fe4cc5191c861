import json
import sqlite3
from pathlib import Path

import pytest
from django.db import connection

from tests.factories import make_agent, make_session
from tests.stored_files import those_with
from voice.models import Session, TranscriptAudit, TranscriptTurn, WebhookDelivery, WebhookEndpoint
from voice.transcripts import holders as holders_module
from voice.transcripts import store
from voice.transcripts.deletion import delete_conversation
from voice.transcripts.forgetting import caller_mark, export_caller, forget_caller
from voice.transcripts.holders import Holder, register
from voice.transcripts.reading import collected_fields_of, transcript_of
from voice.transcripts.recorder import TurnText


@pytest.fixture
def other_holder(monkeypatch):
    """Somebody else who keeps words, as notes and CRM deliveries do."""
    monkeypatch.setattr(holders_module, "_holders", {})
    held = {}

    def delete(session_ids):
        return len([held.pop(session_id) for session_id in list(held) if session_id in session_ids])

    register(Holder("notes", delete, lambda session_id: held.get(session_id)))
    return held


def test_a_caller_is_forgotten_in_every_call_they_made(converse, cast, other_holder):
    first, second = converse(comment="Ada was here", metadata={"customer": "Ada"}), converse(agrees=False)
    other = converse(visitor_id="w" * 64)
    other_holder[first.pk] = "Ada called."
    counts = forget_caller(first, cast.alice)
    assert counts == {"calls": 2, "notes": 1, "turns": 3, "transcripts": 1, "collected_fields": 2, "comments": 1}
    for session in (first, second):
        assert transcript_of(session.pk) is None and collected_fields_of(session.pk) == []
        session.refresh_from_db()
        assert (session.visitor_id, session.client_ip, session.comment, session.consent) == ("", None, "", None)
        assert session.metadata == {}
    assert transcript_of(other.pk) and other_holder == {}


def test_what_a_customers_code_said_of_the_caller_is_gone_from_the_webhooks_log(converse, cast):
    endpoint = WebhookEndpoint.objects.create(
        organisation=cast.organisation, url="https://hooks.example.com/", secret="whsec_YQ=="
    )
    forgotten, other = converse(metadata={"customer": "Ada"}), converse(visitor_id="w" * 64)
    for session in (forgotten, other):
        emit_to(endpoint, session)
    forget_caller(forgotten, cast.alice)
    kept = {delivery.key: delivery.data for delivery in WebhookDelivery.objects.all()}
    assert kept[str(forgotten.pk)] == {"session_id": str(forgotten.pk), "metadata": {}}
    assert kept[str(other.pk)]["metadata"] == {"customer": "Ada"}


def emit_to(endpoint, session):
    WebhookDelivery.objects.create(
        organisation=endpoint.organisation,
        endpoint=endpoint,
        key=str(session.pk),
        event_type="voice_session.ended",
        data={"session_id": str(session.pk), "metadata": {"customer": "Ada"}},
    )


def test_money_stays_when_a_caller_is_forgotten(converse, cast):
    session = converse(captured_micro=77)
    forget_caller(session, cast.alice)
    assert Session.objects.get(pk=session.pk).captured_micro == 77


def test_the_same_visitor_of_another_organisation_is_another_matter(converse, cast):
    ours = converse()
    theirs = converse(make_agent(cast.other_organisation))
    forget_caller(ours, cast.alice)
    assert transcript_of(theirs.pk) is not None


def test_a_caller_without_a_pseudonym_is_forgotten_in_this_call_only(converse, cast):
    ours, other = converse(visitor_id=""), converse(visitor_id="")
    assert forget_caller(ours, cast.alice)["calls"] == 1
    assert transcript_of(ours.pk) is None and transcript_of(other.pk)


def test_a_call_that_is_live_while_its_caller_is_forgotten_keeps_nothing(converse, cast, agent):
    before = converse()
    live = make_session(agent, state="live", transcript_policy="ask", consent=True, visitor_id="v" * 64)
    forget_caller(before, cast.alice)
    live.refresh_from_db()
    assert store.save(live, [TurnText(0, "Ada again")]) is None


def test_the_audit_says_who_and_what_but_not_a_word(converse, cast):
    session = converse(comment="Ada was here")
    mark = caller_mark(session)
    forget_caller(session, cast.alice)
    (row,) = TranscriptAudit.objects.all()
    assert (row.action, row.actor, row.caller) == ("forgot_caller", cast.alice, mark)
    assert "Ada" not in str(vars(row)) and "v" * 64 not in str(vars(row))


def test_one_conversation_is_deleted_and_the_caller_stays(converse, cast):
    session, other = converse(), converse()
    delete_conversation(session, cast.alice)
    assert transcript_of(session.pk) is None and transcript_of(other.pk)
    session.refresh_from_db()
    assert session.visitor_id
    assert TranscriptAudit.objects.get().session_id == session.pk


def test_a_caller_is_handed_everything_that_is_held(converse, cast, other_holder):
    session = converse(comment="Fine", stars=5, client_ip="203.0.113.7")
    other_holder[session.pk] = {"summary": "Ada books."}
    converse(agrees=False)
    exported = json.loads(json.dumps(export_caller(session, cast.alice)))
    assert exported["calls_in_all"] == 2
    first = exported["calls"][0]
    assert [turn["text"] for turn in first["transcript"]["turns"]][1] == "I am Ada Lovelace."
    assert (first["comment"], first["stars"], first["address"]) == ("Fine", 5, "203.0.113.7")
    assert (first["consent"]["answer"], first["notes"]["summary"]) == (True, "Ada books.")
    assert first["collected"][0]["fields"] == {"name": "Ada Lovelace"}
    assert exported["calls"][1]["transcript"] is None
    assert TranscriptAudit.objects.get().action == "exported_caller"


def test_a_deletion_that_fails_half_way_deletes_nothing(converse, cast, monkeypatch):
    def fail(_):
        raise RuntimeError

    monkeypatch.setattr(holders_module, "_holders", {"broken": Holder("broken", fail, str)})
    session = converse()
    with pytest.raises(RuntimeError):
        delete_conversation(session, cast.alice)
    assert TranscriptTurn.objects.filter(transcript__session=session).count() == 3


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "sqlite", reason="reads the database's file")
def test_the_file_itself_holds_no_deleted_word(converse, cast):
    needle = "Quetzalcoatlus"
    session = converse(words=[f"{needle} one", f"{needle} two " * 400, "three"], comment=needle)
    store.save_fields(session.pk, "call_2", "book_appointment", {"name": needle})
    path = connection.settings_dict["NAME"]
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert those_with(needle, files_of(path))
    forget_caller(session, cast.alice)
    assert not those_with(needle, files_of(path))


def files_of(path):
    # SQLite says which file it is, whatever name the test database was given.
    with sqlite3.connect(path) as probe:
        name = probe.execute("PRAGMA database_list").fetchone()[2]
    return list(Path(name).parent.glob(f"{Path(name).name}*"))
