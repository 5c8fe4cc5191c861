"""Every ready note reaches every CRM of its organisation once, whatever the CRM does meanwhile."""

import base64
import hashlib
import hmac
from contextlib import contextmanager

import pytest

from outbox.messages import Postpone
from tests.fakes import hubspot_server
from tests.fakes.chat_server import answering, valid_answer
from tests.fakes.hubspot_server import TOKEN, FakeHubSpot
from tests.fakes.webhook_receiver import Act, Answer, WebhookReceiver
from tests.voice.notes.conftest import messages
from voice import note_work
from voice.models import CrmConnection, CrmDelivery, Note
from voice.notes import deliver
from voice.notes.crm.webhook import WebhookCrm

BOOKING = {"name": "Dana Scully", "address": "12 Elm Street", "appointment": "2026-12-01T10:00"}


@contextmanager
def patience_for(problem):
    """What is to take too long does so soon; what is to be answered has all the time that it has in earnest."""
    with pytest.MonkeyPatch.context() as patch:
        if problem == "timed_out":
            patch.setattr("voice.notes.crm.base.TIMEOUT_S", 1.0)
        yield


@pytest.fixture
def hubspot(settings, organisation):
    with FakeHubSpot() as server:
        settings.HUBSPOT_API_URL = server.url
        server.connection = CrmConnection.objects.create(
            organisation=organisation, kind="hubspot", name="HubSpot", secret=TOKEN
        )
        yield server


@pytest.fixture
def receiver(organisation):
    with WebhookReceiver() as server:
        server.connection = CrmConnection.objects.create(
            organisation=organisation,
            kind="webhook",
            name="Ours",
            secret=WebhookCrm.make_secret(),
            settings={"url": server.url},
        )
        yield server


@pytest.fixture
def ready(keep, note_of, provider):
    """Make a ready note of what was collected, with its deliveries put and none made."""

    def make(collected=BOOKING):
        note = note_of(keep(said=(), collected=collected))
        assert note.state == "ready"
        return note

    return make


def attempt(delivery=None):
    """Let a worker take up the delivery; return the row and the seconds to the next attempt, None without one."""
    delivery = delivery or CrmDelivery.objects.get()
    pause_s = None
    try:
        note_work.deliver_note({"delivery_id": str(delivery.pk)})
    except Postpone as later:
        pause_s = later.seconds
    return CrmDelivery.objects.get(pk=delivery.pk), pause_s


def test_a_note_goes_to_every_active_connection_of_its_organisation_and_no_other(
    ready, hubspot, receiver, organisation
):
    from tests import factories

    other = factories.make_organisation("Mallory Ltd")
    CrmConnection.objects.create(organisation=other, kind="webhook", name="Theirs")
    CrmConnection.objects.create(organisation=organisation, kind="webhook", name="Off", is_active=False)
    note = ready()
    deliver.put_deliveries(note)
    assert {d.connection_id for d in CrmDelivery.objects.all()} == {hubspot.connection.pk, receiver.connection.pk}
    assert len(messages("deliver_note")) == 2


# HubSpot


def test_the_caller_becomes_a_contact_with_the_note_on_it(ready, hubspot):
    ready({**BOOKING, "phone": "+1 555 010 9988", "email": "Dana@Example.com"})
    delivery, _ = attempt()
    (contact_id, contact), (note_id, _) = [*hubspot.contacts.items(), *hubspot.notes.items()]
    assert contact == {
        "firstname": "Dana",
        "lastname": "Scully",
        "email": "dana@example.com",
        "phone": "+15550109988",
        "address": "12 Elm Street",
    }
    assert (delivery.state, delivery.external_id, delivery.contact_id) == ("delivered", note_id, contact_id)
    (body,) = hubspot.notes_of(contact_id)
    assert all(value in body for value in ["Dana Scully", "12 Elm Street", "2026-12-01T10:00"])


@pytest.mark.parametrize(
    ("known", "collected"),
    [
        ({"email": "dana@example.com"}, {"email": "Dana@example.com"}),
        ({"phone": "+15550109988"}, {"phone": "+1 (555) 010-9988"}),
        ({"phone": "15550109988"}, {"phone": "+15550109988"}),
        ({"phone": "555-010-9988"}, {"phone": "+1 555 010 9988"}),
        ({"mobilephone": "15550109988"}, {"callback_number": "15550109988"}),
        ({"firstname": "Dana", "lastname": "Scully", "address": "12 Elm Street"}, BOOKING),
    ],
)
def test_a_contact_that_is_there_is_found(ready, hubspot, known, collected):
    contact_id = hubspot.add_contact(**known)
    ready(collected)
    attempt()
    assert list(hubspot.contacts) == [contact_id]
    assert len(hubspot.notes_of(contact_id)) == 1


def test_somebody_else_is_not_taken_for_the_caller(ready, hubspot):
    stranger = hubspot.add_contact(firstname="Dana", lastname="Scully", address="9 Oak Road")
    ready()
    attempt()
    assert hubspot.notes_of(stranger) == []
    assert len(hubspot.contacts) == 2


def test_two_notes_of_one_new_caller_at_once_make_one_contact(ready, hubspot):
    hubspot.search_lags = 1000
    contact_id = hubspot.add_contact(email="dana@example.com")
    ready({"name": "Dana", "email": "dana@example.com"})
    attempt()
    assert list(hubspot.contacts) == [contact_id]
    assert len(hubspot.notes_of(contact_id)) == 1


def test_a_misheard_mail_address_does_not_cost_the_note_its_contact(ready, hubspot):
    ready({**BOOKING, "email": "dana@exam_ple.com"})
    delivery, _ = attempt()
    assert delivery.state == "delivered"
    assert [contact.get("email") for contact in hubspot.contacts.values()] == [None]


def test_a_note_about_nobody_is_delivered_without_a_contact(ready, hubspot):
    ready({"topic": "Opening hours"})
    attempt()
    assert (len(hubspot.contacts), len(hubspot.notes), hubspot.associations) == (0, 1, [])


def test_what_a_caller_says_is_shown_by_hubspot_as_text(ready, hubspot):
    ready({"name": '<img src=x onerror="alert(1)">'})
    attempt()
    (note,) = hubspot.notes.values()
    assert "<img" not in note["hs_note_body"]
    assert "&lt;img src=x onerror=&quot;alert(1)&quot;&gt;" in note["hs_note_body"]


MOODS = {
    hubspot_server.DOWN: ("unreachable", None),
    hubspot_server.SLOW: ("timed_out", None),
    hubspot_server.BUSY: ("busy", 429),
    hubspot_server.FAILING: ("failed", 500),
    hubspot_server.RUDE: ("bad_answer", 200),
    hubspot_server.FORBIDDEN: ("key_refused", 403),
}


@pytest.mark.parametrize("mood", MOODS)
@pytest.mark.parametrize("step", [0, 1, 2])
def test_hubspot_may_fail_at_any_step_and_still_gets_one_contact_and_one_note(ready, hubspot, mood, step):
    hubspot.moods = [""] * step + [mood]
    ready()
    with patience_for(MOODS[mood][0]):
        delivery, pause_s = attempt()
    assert (delivery.state, delivery.problem, delivery.status_code) == ("pending", *MOODS[mood])
    assert pause_s == 30
    delivery, _ = attempt()
    assert (delivery.state, delivery.problem) == ("delivered", "")
    assert (len(hubspot.contacts), len(hubspot.notes), len(hubspot.associations)) == (1, 1, 1)


class Killed(BaseException):
    """The worker is gone: nothing after this runs."""


@pytest.mark.parametrize("step", ["contacts/search", "contacts", "notes"])
@pytest.mark.parametrize("collected", [BOOKING, {"email": "dana@example.com"}, {"topic": "Opening hours"}])
def test_a_worker_killed_after_any_request_leaves_one_contact_and_one_note(
    ready, hubspot, monkeypatch, step, collected
):
    from voice.notes.crm import hubspot as crm

    ready(collected)
    send = crm.send

    def send_and_die(method, url, **request):
        reply = send(method, url, **request)
        if url.endswith(f"/objects/{step}"):
            raise Killed
        return reply

    monkeypatch.setattr(crm, "send", send_and_die)
    try:
        attempt()
    except Killed:
        monkeypatch.setattr(crm, "send", send)
        attempt()
    contacts = 0 if "topic" in collected else 1
    assert (len(hubspot.contacts), len(hubspot.notes), len(hubspot.associations)) == (contacts, 1, contacts)
    assert CrmDelivery.objects.get().state == "delivered"


def test_what_hubspot_will_never_take_is_left_to_a_person(ready, hubspot, monkeypatch):
    monkeypatch.setattr(hubspot, "_create_note", lambda body: (400, {"message": "no"}))
    ready()
    delivery, pause_s = attempt()
    assert (delivery.state, delivery.problem, delivery.status_code, pause_s) == ("dead", "refused", 400, None)


# Webhook


def is_signed(received, secret):
    message_id, at = received.headers["webhook-id"], received.headers["webhook-timestamp"]
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.digest(key, f"{message_id}.{at}.".encode() + received.body, hashlib.sha256))
    return f"v1,{expected.decode()}" in received.headers["webhook-signature"].split()


def test_a_receiver_gets_the_note_signed_with_its_own_id(ready, receiver):
    note = ready()
    delivery, _ = attempt()
    (received,) = receiver.received
    assert is_signed(received, receiver.connection.secret)
    assert received.headers["webhook-id"] == delivery.external_id == f"note_{note.pk.hex}"
    assert received.json["type"] == "crm.note"
    data = received.json["data"]
    assert {field["name"]: field["value"] for field in data["fields"]} == BOOKING
    assert data["session_id"] == str(note.session_id)


TROUBLE = {
    "drop": (Act.DROP, "unreachable", None),
    "silence": (Act.SILENCE, "timed_out", None),
    "garbage": (Act.GARBAGE, "unreachable", None),
    "busy": (Answer(429, {"Retry-After": "300"}), "busy", 429),
    "failing": (Answer(500), "failed", 500),
    "missing": (Answer(404), "refused", 404),
    "moved": (Answer(302, {"Location": "http://127.0.0.1:1/"}), "refused", 302),
}


@pytest.mark.parametrize(("act", "problem", "status"), TROUBLE.values(), ids=TROUBLE)
def test_a_receiver_in_trouble_is_asked_again_with_the_same_message(ready, receiver, act, problem, status):
    receiver._script.append(act)
    ready()
    with patience_for(problem):
        delivery, pause_s = attempt()
    assert (delivery.state, delivery.problem, delivery.status_code) == ("pending", problem, status)
    assert pause_s == (300 if status == 429 else 30)
    delivery, _ = attempt()
    first, second = receiver.received
    assert delivery.state == "delivered"
    assert (first.headers["webhook-id"], first.body) == (second.headers["webhook-id"], second.body)


@pytest.mark.parametrize("act", [Act.HUGE, Act.DRIP, Act.BOMB])
def test_what_a_receiver_says_beside_its_status_is_not_waited_for(ready, receiver, act):
    receiver._script.append(act)
    ready()
    delivery, _ = attempt()
    assert delivery.state == "delivered"


def test_a_receiver_that_is_down_is_tried_again(ready, receiver):
    receiver.go_down()
    ready()
    assert attempt()[0].problem == "unreachable"
    receiver.come_up()
    assert attempt()[0].state == "delivered"


def test_a_receiver_that_says_it_is_gone_is_left_to_a_person(ready, receiver):
    receiver._script.append(Answer(410))
    ready()
    delivery, _ = attempt()
    assert (delivery.state, delivery.problem) == ("dead", "gone")


def test_an_address_inside_is_never_asked(ready, receiver, settings):
    settings.OUTGOING_ALLOW_PRIVATE = False
    CrmConnection.objects.update(settings={"url": receiver.url.replace("http:", "https:")})
    ready()
    delivery, _ = attempt()
    assert (delivery.state, delivery.problem, receiver.received) == ("dead", "address_not_allowed", [])


# Both


def test_pauses_grow_to_an_hour(ready, receiver):
    receiver._script += [Answer(500)] * 9
    ready()
    assert [attempt()[1] for _ in range(9)] == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]


def test_after_a_day_it_is_a_dead_letter_that_a_person_can_replay(ready, receiver):
    receiver._script.append(Answer(500))
    ready()
    delivery, _ = attempt()
    note_work.give_up_delivery({"delivery_id": str(delivery.pk)})
    assert CrmDelivery.objects.get().state == "dead"
    assert deliver.replay(delivery.pk) is True
    assert len(messages("deliver_note")) == 2
    assert attempt()[0].state == "delivered"
    assert deliver.replay(delivery.pk) is False


def test_a_message_that_comes_twice_delivers_once(ready, receiver):
    ready()
    attempt()
    attempt()
    assert len(receiver.received) == 1


def test_a_connection_that_is_switched_off_waits(ready, receiver):
    ready()
    CrmConnection.objects.update(is_active=False)
    delivery, pause_s = attempt()
    assert (delivery.problem, receiver.received) == ("inactive", [])
    assert pause_s
    CrmConnection.objects.update(is_active=True)
    assert attempt()[0].state == "delivered"


def test_words_that_were_deleted_meanwhile_are_not_delivered(ready, receiver):
    note = ready()
    Note.objects.forget([note.session_id])
    delivery, _ = attempt()
    assert (delivery.state, receiver.received) == ("cancelled", [])


def test_a_connection_that_was_removed_ends_its_deliveries(ready, receiver):
    ready()
    delivery = CrmDelivery.objects.get()
    receiver.connection.delete()
    note_work.deliver_note({"delivery_id": str(delivery.pk)})
    assert receiver.received == []


def test_a_secret_that_cannot_be_read_any_more_is_said_so(ready, receiver):
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("UPDATE voice_crmconnection SET secret = 'gAAAAAnonsense'")
    ready()
    assert attempt()[0].problem == "secret_unreadable"


def test_a_secret_is_not_in_the_database(receiver):
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM voice_crmconnection")
        (stored,) = cursor.fetchone()
    assert stored
    assert receiver.connection.secret not in stored


def test_a_connection_is_tested_and_the_result_kept(hubspot, receiver):
    assert deliver.check_connection(hubspot.connection.pk) == ""
    assert deliver.check_connection(receiver.connection.pk) == ""
    assert receiver.received[0].json["type"] == "crm.test"
    CrmConnection.objects.filter(kind="hubspot").update(secret="pat-wrong")
    assert deliver.check_connection(hubspot.connection.pk) == "key_refused"
    connection = CrmConnection.objects.get(kind="hubspot")
    assert connection.test_problem == "key_refused"
    assert connection.tested_at


def test_a_note_by_a_model_is_delivered_with_its_summary(keep, note_of, provider, receiver):
    provider(answering(valid_answer()))
    note_of(keep())
    attempt()
    assert receiver.received[0].json["data"]["summary"] == "Dana Scully called to book an appointment."
