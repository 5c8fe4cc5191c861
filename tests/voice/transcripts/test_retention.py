from datetime import timedelta

from django.utils import timezone

from tests.factories import make_agent
from voice.models import CollectedFields, Session, Transcript, TranscriptAudit, TranscriptTurn, Turn
from voice.transcripts.reading import transcript_of
from voice.transcripts.retention import delete_expired
from voice.transcripts.rules import Rules, change_rules


def test_words_are_deleted_when_their_days_are_over(converse):
    old, new = converse(days_ago=91, comment="It was Ada."), converse(days_ago=89)
    assert delete_expired(timezone.now()) == 1
    assert transcript_of(old.pk) is None and transcript_of(new.pk)
    assert not CollectedFields.objects.filter(session=old).exists()
    old.refresh_from_db()
    assert old.comment == ""


def test_times_and_money_stay(converse):
    old = converse(days_ago=91, captured_micro=12)
    delete_expired(timezone.now())
    assert Session.objects.get(pk=old.pk).captured_micro == 12
    assert Turn.objects.filter(session=old).count() == 3


def test_each_organisation_has_its_own_days(converse, cast):
    change_rules(cast.organisation.pk, Rules(kept_days=10))
    theirs = converse(days_ago=11)
    other = converse(make_agent(cast.other_organisation), days_ago=11)
    assert delete_expired(timezone.now()) == 1
    assert transcript_of(theirs.pk) is None and transcript_of(other.pk)


def test_a_longer_rule_does_not_undo_what_the_caller_was_told(converse, cast):
    old = converse(days_ago=91)
    change_rules(cast.organisation.pk, Rules(kept_days=3650))
    delete_expired(timezone.now())
    assert transcript_of(old.pk) is None


def test_the_work_is_done_in_batches_and_what_is_left_is_taken_next(converse):
    for _ in range(5):
        converse(days_ago=91)
    assert delete_expired(timezone.now(), batch=2, most_batches=2) == 4
    assert delete_expired(timezone.now(), batch=2) == 1
    assert not TranscriptTurn.objects.exists()
    assert [row.counts["conversations"] for row in TranscriptAudit.objects.order_by("id")] == [2, 2, 1]


def test_a_second_run_finds_nothing(converse):
    converse(days_ago=91, comment="x")
    delete_expired(timezone.now())
    assert delete_expired(timezone.now()) == 0
    assert Transcript.objects.count() == 0
    assert delete_expired(timezone.now() + timedelta(days=400)) == 0
