"""Incidents in the admin: told to everybody, ended by a button; and what only an operator may know."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from tests.factories import make_user
from voice.models import CatalogueModel, ComponentBeat, Incident
from voice.status import board, now, parts

LIST = "/admin/voice/incident/"


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    # This process has been up for long: what is silent is missed.
    monkeypatch.setattr(parts, "_began_at", datetime(2000, 1, 1, tzinfo=UTC))
    now.forget()
    board.forget()
    yield
    now.forget()
    board.forget()


def fields(**changes):
    return {"title": "Slow answers", "body": "We look.", "started_at": "2026-11-22T10:00", "is_public": "on", **changes}


def test_an_incident_is_on_the_public_page_as_soon_as_it_is_saved(desk, client):
    assert "Slow answers" not in client.get("/status/").content.decode()
    assert desk.post(f"{LIST}add/", fields()).status_code == 302
    assert "Slow answers" in client.get("/status/").content.decode()


def test_it_is_changed_and_ended(desk):
    incident = Incident.objects.create(title="Slow answers")
    desk.post(f"{LIST}{incident.pk}/change/", fields(body="Mended.", ended_at="2026-11-22T11:00"))
    incident.refresh_from_db()
    assert (incident.body, incident.ended_at.hour) == ("Mended.", 11)


def test_it_cannot_end_before_it_began(desk):
    page = desk.post(f"{LIST}add/", fields(ended_at="2026-11-22T09:59"))
    assert "It cannot have ended before it began." in page.content.decode()
    assert not Incident.objects.exists()


def test_end_now_ends_what_goes_on_and_writes_down_who_did_it(desk, operator):
    going_on = Incident.objects.create(title="Going on")
    announced = Incident.objects.create(title="Announced", started_at=timezone.now() + timedelta(days=1))
    desk.post(LIST, {"action": "end_now", "_selected_action": [going_on.pk, announced.pk]})
    going_on.refresh_from_db()
    announced.refresh_from_db()
    assert going_on.ended_at is not None and announced.ended_at is None
    assert LogEntry.objects.get(user=operator).change_message == "Ended."


def test_the_list_says_why_a_part_is_in_trouble(desk):
    ComponentBeat.objects.create(name="worker", seen_at=timezone.now() - timedelta(hours=1))
    text = desk.get(LIST).content.decode()
    assert "Now: degraded" in text and "Not heard of since then: is it running?" in text


def test_incidents_stay_quick_to_list(desk, django_assert_max_num_queries):
    model = CatalogueModel.objects.first()
    Incident.objects.create(title="One", model=model)
    with django_assert_max_num_queries(60) as one:
        desk.get(LIST)
    for number in range(20):
        Incident.objects.create(title=f"Number {number}", model=model)
    with django_assert_max_num_queries(len(one.captured_queries)):
        desk.get(LIST)


def test_who_may_not_see_the_catalogue_is_told_nothing_of_it(client, catalogue):
    ComponentBeat.objects.create(name="worker", seen_at=timezone.now() - timedelta(hours=1))
    clerk = make_user("clerk@example.com", is_staff=True)
    client.force_login(clerk, backend="django.contrib.auth.backends.ModelBackend")
    assert "operator-alerts" not in client.get("/admin/").content.decode()
    assert client.get(LIST).status_code == 403


def test_every_page_of_the_admin_begins_with_what_needs_attention(desk):
    ComponentBeat.objects.create(name="worker", seen_at=timezone.now() - timedelta(hours=1))
    CatalogueModel.objects.filter(slug="gpt-realtime").update(status="maintenance")
    for page in ("/admin/", "/admin/voice/session/"):
        text = desk.get(page).content.decode()
        assert "gpt-realtime is under maintenance." in text and "Work after calls: Not heard of" in text
