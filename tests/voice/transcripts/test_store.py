from datetime import timedelta

import pytest
from django.utils import timezone

from outbox.models import OutboxMessage
from tests.factories import make_session, make_turn
from voice.metering.sweep import settle_dead_sessions
from voice.models import CollectedFields, Transcript, TranscriptTurn
from voice.transcripts import store
from voice.transcripts.reading import collected_fields_of, transcript_of
from voice.transcripts.recorder import TurnText
from voice.transcripts.rules import Rules, change_rules


def test_what_was_said_is_read_back_with_its_times(converse):
    view = transcript_of(converse().pk)
    assert [(turn.speaker, turn.text) for turn in view.turns] == [
        ("agent", "Hello, Rosewood Dental."),
        ("caller", "I am Ada Lovelace."),
        ("agent", "Booked for Friday, Ada."),
    ]
    assert (view.turns[1].started_ms, view.turns[1].ended_ms) == (3000, 5000)


@pytest.mark.parametrize("answer", [False, None])
def test_without_a_yes_nothing_is_written(converse, answer):
    session = converse(agrees=answer)
    assert transcript_of(session.pk) is None
    assert not TranscriptTurn.objects.exists()


def test_what_a_task_collected_is_kept_without_consent_to_a_transcript(converse):
    (collected,) = collected_fields_of(converse(agrees=False).pk)
    assert (collected.task_name, collected.fields) == ("book_appointment", {"name": "Ada Lovelace"})


def test_a_task_is_kept_once_however_often_it_is_written(converse):
    session = converse()
    store.save_fields(session.pk, "call_1", "book_appointment", {"name": "Ada Lovelace"})
    assert CollectedFields.objects.count() == 1


def test_a_turn_lasts_as_long_as_it_was_heard(agent):
    session = make_session(agent, transcript_policy="ask", consent=True)
    make_turn(session, 0, "agent", started_ms=1000, ended_ms=1300, heard_ms=4000)
    store.save(session, [TurnText(0, "A long answer, sent at once.")])
    assert transcript_of(session.pk).turns[0].ended_ms == 5000


def test_an_organisation_can_have_numbers_blotted_out_before_anything_is_kept(converse, cast):
    change_rules(cast.organisation.pk, Rules(redacts=True))
    session = converse(words=["Hello", "Ring 555 0142 88 or ada@example.com", "Thank you"])
    assert transcript_of(session.pk).turns[1].text == "Ring [phone number] or [mail address]"
    assert transcript_of(session.pk).is_redacted
    assert "555" not in str(TranscriptTurn.objects.values_list("text", flat=True))


def test_words_that_no_database_takes_are_mended(converse):
    session = converse(words=["a\x00b", "half \ud83d of one", "ok"])
    assert [turn.text for turn in transcript_of(session.pk).turns] == ["ab", "half ? of one", "ok"]


def test_the_shorter_of_the_rule_and_the_promise_counts(converse, cast):
    change_rules(cast.organisation.pk, Rules(kept_days=365))
    converse(consent_version="ask-1/30d")
    transcript = Transcript.objects.get()
    assert (transcript.deletes_at - transcript.created_at).days == 30


def test_what_follows_a_conversation_is_told_once_and_without_words(converse, cast):
    session = converse()
    store.announce_end(session.pk)
    store.announce_end(session.pk)
    (message,) = OutboxMessage.objects.filter(kind="conversation_ended")
    assert message.payload == {"session_id": str(session.pk)}


def test_nothing_follows_a_conversation_of_which_nothing_was_kept(agent):
    store.announce_end(make_session(agent).pk)
    assert not OutboxMessage.objects.exists()


def test_a_booking_outlives_the_process_that_took_it(agent):
    """What was said dies with the process; what the caller gave to be passed on is passed on."""
    died_at = timezone.now() - timedelta(minutes=5)
    live = {"state": "live", "started_at": died_at, "seen_at": died_at, "ended_at": None, "end_reason": ""}
    session = make_session(agent, transcript_policy="ask", consent=True, **live)
    store.save_fields(session.pk, "call_1", "book_appointment", {"name": "Ada"})
    settle_dead_sessions(timezone.now())
    message = OutboxMessage.objects.get(kind="conversation_ended")
    assert message.payload == {"session_id": str(session.pk)}
