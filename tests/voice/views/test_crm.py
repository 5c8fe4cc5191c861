"""The pages about CRMs: admins connect, test, change and remove them, and nobody ever sees a secret twice."""

import re

import pytest

from tests.factories import make_session
from tests.fakes.hubspot_server import TOKEN, FakeHubSpot
from tests.fakes.webhook_receiver import Answer, WebhookReceiver
from voice.models import CrmConnection, CrmDelivery, Note

BACKEND = "django.contrib.auth.backends.ModelBackend"
LIST = "/console/crm/"


@pytest.fixture
def desk(client, cast):
    """A browser in which alice, who owns the organisation, is signed in."""
    client.force_login(cast.alice, backend=BACKEND)
    return client


@pytest.fixture
def connection(cast):
    return CrmConnection.objects.create(
        organisation=cast.organisation, kind="hubspot", name="HubSpot", secret="pat-secret-1"
    )


@pytest.fixture
def dead(cast, agent, connection):
    """A delivery that was given up."""
    from django.utils import timezone

    note = Note.objects.create(
        session=make_session(agent), organisation=cast.organisation, state="ready", finished_at=timezone.now(),
        written_by="fields", content={"fields": [], "outcome": "answered", "sentiment": None},
    )  # fmt: skip
    return CrmDelivery.objects.create(
        connection=connection, note=note, state="dead", problem="busy", status_code=429, attempts=9
    )


def page(response):
    assert response.status_code == 200
    return response.content.decode()


def url(connection, what=""):
    return f"{LIST}{connection.pk}/{what}"


def test_without_connections_the_page_offers_every_kind(desk):
    shown = page(desk.get(LIST))
    assert "Connect HubSpot" in shown
    assert "Connect Webhook" in shown


def test_hubspot_is_connected_with_a_token_that_is_kept_encrypted_and_never_shown(desk, cast):
    response = desk.post(f"{LIST}new/hubspot/", {"name": "Ours", "secret": "pat-eu1-abc", "is_active": "on"})
    made = CrmConnection.objects.get()
    assert response["Location"] == url(made)
    assert (made.organisation, made.secret) == (cast.organisation, "pat-eu1-abc")
    assert "pat-eu1-abc" not in page(desk.get(url(made)))
    assert "pat-eu1-abc" not in page(desk.get(LIST))


def test_a_webhook_gets_a_secret_of_ours_that_is_shown_once(desk):
    response = desk.post(f"{LIST}new/webhook/", {"name": "Ours", "url": "https://example.com/notes", "is_active": "on"})
    made = CrmConnection.objects.get()
    assert made.secret in page(response)
    assert response["Cache-Control"] == "no-store"
    assert made.secret not in page(desk.get(url(made)))
    renewed = re.search(r"whsec_[^<]+", page(desk.post(url(made, "secret/")))).group()
    assert renewed != made.secret
    assert CrmConnection.objects.get().secret == renewed


@pytest.mark.parametrize("address", ["ftp://example.com", "https://10.0.0.1/", "https://[::1]:9/", "nonsense", ""])
def test_an_address_that_leads_inside_or_nowhere_is_refused(desk, settings, address):
    settings.OUTGOING_ALLOW_PRIVATE = False
    response = desk.post(f"{LIST}new/webhook/", {"name": "Ours", "url": address})
    assert response.status_code == 422
    assert not CrmConnection.objects.exists()


@pytest.mark.parametrize("wrong", [{"name": ""}, {"secret": ""}, {"secret": "pat\u00e9"}, {"secret": "x" * 501}])
def test_what_cannot_be_a_connection_is_refused(desk, wrong):
    response = desk.post(f"{LIST}new/hubspot/", {"name": "Ours", "secret": "pat-1", **wrong})
    assert response.status_code == 422
    assert not CrmConnection.objects.exists()


def test_a_kind_that_does_not_exist_is_not_found(desk):
    assert desk.get(f"{LIST}new/salesforce/").status_code == 404


def test_two_connections_of_one_name_are_refused_and_so_is_an_eleventh(desk, connection):
    assert desk.post(f"{LIST}new/hubspot/", {"name": "HubSpot", "secret": "x"}).status_code == 422
    for number in range(9):
        desk.post(f"{LIST}new/hubspot/", {"name": f"N{number}", "secret": "x"})
    assert desk.post(f"{LIST}new/hubspot/", {"name": "Eleventh", "secret": "x"}).status_code == 422
    assert CrmConnection.objects.count() == 10


def test_a_change_without_a_secret_keeps_it_and_one_with_a_secret_replaces_it(desk, connection):
    desk.post(url(connection), {"name": "Renamed", "secret": ""})
    changed = CrmConnection.objects.get()
    assert (changed.name, changed.is_active, changed.secret) == ("Renamed", False, "pat-secret-1")
    desk.post(url(connection), {"name": "Renamed", "secret": "pat-secret-2", "is_active": "on"})
    changed = CrmConnection.objects.get()
    assert (changed.is_active, changed.secret) == (True, "pat-secret-2")


def test_the_test_button_says_what_is_wrong(desk, connection, settings):
    with FakeHubSpot() as hubspot:
        settings.HUBSPOT_API_URL = hubspot.url
        assert "did not accept the key" in page(desk.post(url(connection, "test/"), follow=True))
        CrmConnection.objects.update(secret=TOKEN)
        assert "answered as it should" in page(desk.post(url(connection, "test/"), follow=True))


def test_the_test_button_sends_a_receiver_a_test(desk, cast):
    with WebhookReceiver([Answer(500)]) as receiver:
        made = CrmConnection.objects.create(
            organisation=cast.organisation, kind="webhook", name="Ours", settings={"url": receiver.url},
            secret="whsec_aGVsbG8=",
        )  # fmt: skip
        assert "something went wrong there" in page(desk.post(url(made, "test/"), follow=True))
        assert "answered as it should" in page(desk.post(url(made, "test/"), follow=True))


def test_a_delivery_that_was_given_up_is_shown_with_its_reason_and_can_be_sent_again(desk, connection, dead):
    shown = page(desk.get(url(connection)))
    assert "Given up" in shown
    assert "It asked us to come back later. (HTTP 429)" in " ".join(shown.split()).replace("</span>", "")
    desk.post(f"{LIST}deliveries/{dead.pk}/replay/")
    delivery = CrmDelivery.objects.get()
    assert (delivery.state, delivery.replays) == ("pending", 1)


def test_the_list_counts_what_was_delivered_and_what_was_not(desk, dead):
    shown = page(desk.get(LIST))
    assert '<td data-label="Given up" class="number">1</td>' in shown
    assert '<td data-label="Delivered" class="number">0</td>' in shown


def test_a_removed_connection_is_gone_with_its_log(desk, connection, dead):
    assert desk.post(url(connection, "remove/"))["Location"] == LIST
    assert not CrmConnection.objects.exists()
    assert not CrmDelivery.objects.exists()


def test_a_secret_that_cannot_be_read_any_more_takes_no_page_down(desk, connection):
    from django.db import connection as database

    with database.cursor() as cursor:
        cursor.execute("UPDATE voice_crmconnection SET secret = 'gAAAAAnonsense'")
    page(desk.get(LIST))
    page(desk.get(url(connection)))
    assert "cannot be read any more" in page(desk.post(url(connection, "test/"), follow=True))


WRITES = ["", "test/", "secret/", "remove/"]


@pytest.mark.parametrize("what", WRITES)
def test_a_plain_member_looks_and_changes_nothing(client, cast, connection, what):
    client.force_login(cast.bob, backend=BACKEND)
    assert "Owners and admins change connections" in page(client.get(url(connection)))
    assert client.post(url(connection, what), {"name": "Bob's"}).status_code in (403, 404)
    assert CrmConnection.objects.get().name == "HubSpot"


@pytest.mark.parametrize("what", WRITES)
def test_somebody_elses_connection_does_not_exist(client, cast, connection, dead, what):
    client.force_login(cast.mallory, backend=BACKEND)
    assert client.get(url(connection)).status_code == 404
    assert client.post(url(connection, what), {"name": "Mine", "secret": "x"}).status_code == 404
    assert client.post(f"{LIST}deliveries/{dead.pk}/replay/").status_code == 404
    assert "HubSpot" not in re.sub("Connect HubSpot|<h3>HubSpot</h3>", "", page(client.get(LIST)))


def note_shown(client, session, membership):
    from django.template import Context, Template

    context = Context({"session": session, "membership": membership, "csrf_token": "t"})
    return Template('{% include "voice/console/_note.html" %}').render(context)


def test_a_calls_page_shows_its_note_escaped_with_where_it_went(cast, agent, dead, client):
    note = dead.note
    note.content = {
        "summary": "<script>alert(1)</script> called.",
        "outcome": "answered",
        "sentiment": "positive",
        "action_items": [{"text": "Call <b>back</b>", "turn": 2}],
        "follow_up_date": "2026-12-01",
        "fields": [{"name": "full_name", "value": "Dana", "turn": 1, "collected": True}],
    }
    note.written_by, note.provider_model, note.charged_micro, note.cost_micro = "model", "gpt-4.1", 486_000, 486_000
    note.save()
    shown = note_shown(client, note.session, cast.organisation.memberships.get(user=cast.alice))
    assert "&lt;script&gt;alert(1)&lt;/script&gt; called." in shown
    assert "<b>back</b>" not in shown
    assert "Written by gpt-4.1." in shown
    assert "0.486 credits" in shown
    assert 'href="#turn-1"' in shown
    assert "Given up" in shown
    assert "Send again" in shown


def test_a_call_without_a_note_shows_none(cast, agent, client):
    assert "Note" not in note_shown(client, make_session(agent), None)


def test_a_failed_note_can_be_written_again_from_its_call(desk, dead):
    note = dead.note
    Note.objects.update(state="failed", reason="refused", content={})
    desk.post(f"/console/calls/{note.session_id}/note/")
    assert Note.objects.get().state == "waiting"
