"""The operator sees the state and the money of every note, and its words only by a permission and on record."""

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone

from tests.factories import make_agent, make_session, make_user
from voice.models import CrmConnection, CrmDelivery, Note, TranscriptAudit

NOTES, CONNECTIONS, DELIVERIES = (f"/admin/voice/{name}/" for name in ("note", "crmconnection", "crmdelivery"))


@pytest.fixture
def note(cast):
    content = {"summary": "Dana Scully called.", "outcome": "answered", "sentiment": "neutral", "fields": []}
    return Note.objects.create(
        session=make_session(make_agent(cast.organisation)), organisation=cast.organisation, state="ready",
        content=content, written_by="model", finished_at=timezone.now(),
    )  # fmt: skip


@pytest.fixture
def delivery(cast, note):
    connection = CrmConnection.objects.create(
        organisation=cast.organisation, kind="hubspot", name="Ours", secret="pat-secret"
    )
    return CrmDelivery.objects.create(connection=connection, note=note, state="dead", problem="busy")


@pytest.fixture
def looker(client, db):
    """Staff who may see notes and no transcripts."""
    user = make_user("looker@example.com", is_staff=True)
    user.user_permissions.add(*Permission.objects.filter(codename__in=["view_note", "view_crmdelivery"]))
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_a_note_is_listed_without_its_words(desk, note):
    shown = desk.get(NOTES).content.decode()
    assert "Rosewood Dental" in shown
    assert "Scully" not in shown


def test_without_the_permission_no_word_is_shown_and_no_look_written_down(looker, note):
    shown = looker.get(f"{NOTES}{note.pk}/change/").content.decode()
    assert "Ready" in shown
    assert "Scully" not in shown
    assert not TranscriptAudit.objects.exists()


def test_with_the_permission_each_look_is_written_down(desk, note, operator):
    assert "Dana Scully called." in desk.get(f"{NOTES}{note.pk}/change/").content.decode()
    audit = TranscriptAudit.objects.get()
    assert (audit.action, audit.actor, audit.session_id) == ("looked", operator, note.session_id)


def test_no_secret_is_on_any_page(desk, delivery):
    for page in (CONNECTIONS, f"{CONNECTIONS}{delivery.connection.pk}/change/", f"{DELIVERIES}{delivery.pk}/change/"):
        response = desk.get(page)
        assert response.status_code == 200
        assert "pat-secret" not in response.content.decode()


def test_what_was_given_up_is_sent_again(desk, delivery):
    desk.post(DELIVERIES, {"action": "send_again", "_selected_action": [str(delivery.pk)]})
    assert CrmDelivery.objects.get().state == "pending"


def test_what_failed_is_written_again(desk, note):
    Note.objects.update(state="failed", reason="refused", content={})
    desk.post(NOTES, {"action": "write_again", "_selected_action": [str(note.pk)]})
    assert Note.objects.get().state == "waiting"


def test_who_may_only_look_sends_nothing_again(looker, delivery):
    looker.post(DELIVERIES, {"action": "send_again", "_selected_action": [str(delivery.pk)]})
    assert CrmDelivery.objects.get().state == "dead"


@pytest.mark.parametrize("page", [NOTES, CONNECTIONS, DELIVERIES])
def test_each_list_can_be_searched(desk, delivery, page):
    for text in ("Rosewood", "7b0c", "nothing such"):
        assert desk.get(page, {"q": text}).status_code == 200
