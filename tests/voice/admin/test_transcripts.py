"""Transcripts in the operator's tool: their words only to who may see them, and each look on record."""

import pytest
from django.contrib.auth.models import Permission

from tests.factories import make_agent, make_session, make_turn, make_user
from voice.models import Transcript, TranscriptAudit
from voice.transcripts import store
from voice.transcripts.recorder import TurnText

WORDS = "I am Ada Lovelace."


@pytest.fixture
def transcript(cast, catalogue):
    session = make_session(make_agent(cast.organisation), transcript_policy="ask", consent=True)
    make_turn(session, 0, "caller")
    store.save(session, [TurnText(0, WORDS)])
    store.save_fields(session.pk, "c1", "book_appointment", {"name": "Ada Lovelace"})
    return Transcript.objects.get()


def helper_with(client, *codenames):
    helper = make_user("helper@example.com", is_staff=True)
    helper.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client.force_login(helper, backend="django.contrib.auth.backends.ModelBackend")
    return helper


def pages_of(transcript):
    row = f"/admin/voice/transcript/{transcript.pk}"
    return "/admin/voice/transcript/", f"{row}/change/", f"/admin/voice/transcript/of/{transcript.session_id}/read/"


def test_neither_the_list_nor_the_page_shows_a_word(desk, transcript):
    listed, page, _ = pages_of(transcript)
    for address in (listed, page):
        response = desk.get(address)
        assert response.status_code == 200 and "Ada" not in response.content.decode()
    assert not TranscriptAudit.objects.exists()


def test_words_cannot_be_searched_for(desk, transcript):
    assert not desk.get("/admin/voice/transcript/", {"q": "Ada"}).context["cl"].queryset.exists()


def test_who_may_reads_the_words_and_every_look_is_written_down(client, transcript):
    helper = helper_with(client, "view_transcript", "read_transcripts")
    for _ in range(2):
        assert WORDS in client.post(pages_of(transcript)[2]).content.decode()
    rows = TranscriptAudit.objects.all()
    assert [(row.action, row.actor, row.session_id) for row in rows] == [("looked", helper, transcript.session_id)] * 2


def test_who_may_only_see_that_there_is_one_sees_no_word(client, transcript):
    helper_with(client, "view_transcript")
    listed, page, read = pages_of(transcript)
    assert client.get(listed).status_code == 200
    assert "You may not see what was said" in client.get(page).content.decode()
    assert client.post(read).status_code == 403
    assert not TranscriptAudit.objects.exists()


def test_an_address_alone_shows_nothing(desk, transcript):
    assert desk.get(pages_of(transcript)[2]).status_code == 403


def test_a_customer_never_gets_in(client, cast, transcript):
    client.force_login(cast.alice, backend="django.contrib.auth.backends.ModelBackend")
    assert client.post(pages_of(transcript)[2]).status_code == 302


def test_the_audit_is_read_and_cannot_be_changed(desk, transcript):
    desk.post(pages_of(transcript)[2])
    row = TranscriptAudit.objects.get()
    assert desk.get("/admin/voice/transcriptaudit/").status_code == 200
    assert desk.get(f"/admin/voice/transcriptaudit/{row.pk}/change/").status_code == 200
    assert desk.post(f"/admin/voice/transcriptaudit/{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert desk.post(f"/admin/voice/transcript/{transcript.pk}/delete/", {"post": "yes"}).status_code == 403


def test_a_session_shows_neither_what_was_collected_nor_the_comment_but_leads_there(desk, transcript):
    type(transcript.session).objects.update(comment="Ada was here")
    page = desk.get(f"/admin/voice/session/{transcript.session_id}/change/").content.decode()
    assert "Ada" not in page and pages_of(transcript)[2] in page
    words = desk.post(pages_of(transcript)[2]).content.decode()
    assert "Ada was here" in words and "book_appointment" in words
