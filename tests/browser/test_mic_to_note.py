"""From the microphone to the CRM: a spoken, consented booking arrives once in HubSpot and once at a webhook.

Both have a bad day. The whole product runs, with its own worker and the broker on files, and the worker is killed while
it delivers; tests/voice/notes/test_killed.py kills it at every step, on every broker.
"""

import os
import signal
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from tests.browser.call import Call
from tests.browser.inside import in_product
from tests.browser.waiting import wait_until
from tests.fakes import hubspot_server
from tests.fakes.hubspot_server import TOKEN, FakeHubSpot
from tests.fakes.webhook_receiver import Act, Answer, WebhookReceiver

# The embedded note, and a delivery that nobody answers for as long as anybody waits.
PATIENCE_S = 120
DELIVERED_WITHIN_S, HURRY_EVERY_S = 600, 0.5
CONNECT = """
import sys, django
django.setup()
from voice.models import Agent, CrmConnection
organisation = Agent.objects.get(is_demo=True).organisation
for kind, secret, url in [("hubspot", sys.argv[1], ""), ("webhook", "whsec_aGVsbG8=", sys.argv[2])]:
    CrmConnection.objects.create(organisation=organisation, kind=kind, name=kind, secret=secret, settings={"url": url})
"""
# Ends pauses between attempts, and no lease of a worker that is at it: two would then do the same.
HURRY = """
import django
django.setup()
from datetime import timedelta
from django.utils import timezone
from outbox import messages, models
from voice.models import CrmDelivery

def is_leased(message):
    began = CrmDelivery.objects.get(pk=message.payload["delivery_id"]).attempted_at
    return began is not None and abs(message.next_attempt_at - began - messages.LEASE) < timedelta(seconds=20)

now = timezone.now()
waiting = models.OutboxMessage.objects.filter(kind="deliver_note", state="pending")
for message in waiting:
    if not is_leased(message):
        waiting.filter(pk=message.pk, next_attempt_at=message.next_attempt_at).update(next_attempt_at=now)
messages.hand_over_due(now)
"""
END_LEASES = "UPDATE outbox_outboxmessage SET next_attempt_at = ? WHERE kind = 'deliver_note' AND state = 'pending'"

FORGET = """
import sys, uuid, django
django.setup()
from voice.transcripts.deletion import delete_words
delete_words([uuid.UUID(sys.argv[1])])
"""


def workers_of(product):
    """Return the process ids of the running product's own Celery workers."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            command = (process / "cmdline").read_bytes().split(b"\0")
            environment = (process / "environ").read_bytes().split(b"\0")
        except (OSError, ValueError):
            continue
        if b"celery" in command and f"PARLEY_DATA_DIR={product.data_dir}".encode() in environment:
            found.append(int(process.name))
    return found


def write(product, statement, *values):
    with closing(sqlite3.connect(product.data_dir / "db.sqlite3", timeout=30)) as database:
        database.execute("PRAGMA foreign_keys = ON")
        database.execute(statement, values)
        database.commit()


@pytest.fixture(scope="module")
def crms(product):
    """HubSpot and a receiver that are down, silent, busy, failing and rude in turn before they do their work."""
    bad_day = [Act.SILENCE, Act.DROP, Answer(429, {"Retry-After": "1"}), Answer(500), Act.GARBAGE]
    with FakeHubSpot(port=product.hubspot_port) as hubspot, WebhookReceiver(bad_day) as receiver:
        hubspot.moods = [
            hubspot_server.DOWN,
            hubspot_server.SLOW,
            hubspot_server.BUSY,
            hubspot_server.FAILING,
            hubspot_server.RUDE,
        ]
        in_product(product, CONNECT, TOKEN, receiver.url)
        write(product, "UPDATE voice_agent SET transcript_policy = 'ask' WHERE is_demo")
        yield hubspot, receiver
        write(product, "UPDATE voice_agent SET transcript_policy = 'never' WHERE is_demo")
        write(product, "DELETE FROM voice_crmdelivery")
        write(product, "DELETE FROM voice_crmconnection")


@pytest.fixture(scope="module")
def booked(chromium, product, crms):
    """One spoken booking, whose note has made its way; return its session's row."""
    context = chromium.new_context(base_url=product.url, viewport={"width": 1280, "height": 900})
    context.add_init_script(path=Path(__file__).parent / "microphone.js")
    call = Call(context.new_page())
    call.page.goto("/")
    call.part("primary").click()
    wait_until(call.part("consent").is_visible)
    call.part("consent-yes").click()
    call.past_explanation(asked_in="asking")
    call.wait_for_answer(0)
    for utterance in ("u26", "u06", "u15", "u25", "u03"):
        call.say(f"kokoro_af_heart_{utterance}")
    call.speak("kokoro_af_heart_u32")
    call.wait_for("ended")
    context.close()
    session = product.row("SELECT * FROM voice_session ORDER BY created_at DESC LIMIT 1")
    kill_a_worker_that_delivers(product, crms)
    deliver_everything(product)
    yield session
    # Other tests say the same, and look for it everywhere.
    in_product(product, FORGET, session["id"])


def kill_a_worker_that_delivers(product, crms):
    """kill -9 while the receiver keeps it waiting; the launcher starts another."""
    _, receiver = crms
    wait_until(lambda: receiver.received, PATIENCE_S)
    killed = workers_of(product)
    for process_id in killed:
        os.kill(process_id, signal.SIGKILL)
    # What the dead held is free: nobody waits five minutes for that here.
    write(product, END_LEASES, datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"))
    wait_until(lambda: set(workers_of(product)) - set(killed), PATIENCE_S)


def deliver_everything(product):
    """Let one pause after the other pass at once, until nothing is on its way any more."""
    end = time.monotonic() + DELIVERED_WITHIN_S
    while product.rows("SELECT id FROM voice_crmdelivery WHERE state = 'pending'"):
        assert time.monotonic() < end, "still on its way"
        in_product(product, HURRY)
        # Whoever delivers needs the machine, too.
        time.sleep(HURRY_EVERY_S)


def only_note(product, session):
    return product.row("SELECT * FROM voice_note WHERE session_id = ?", session["id"])


def test_the_note_has_the_name_the_address_and_the_time(booked, product):
    note = only_note(product, booked)
    assert (note["state"], note["written_by"]) == ("ready", "embedded"), note
    for value in ("Sarah Johnson", "Maple Street", "4:15"):
        assert value in note["content"]


def test_hubspot_has_one_contact_with_the_one_note(booked, product, crms):
    hubspot, _ = crms
    assert hubspot.moods == []
    # Another test's delivery may still find its way here: this note is known by its mark.
    mark = f"parleynote{UUID(only_note(product, booked)['id']).hex}"
    marked = [note_id for note_id, note in hubspot.notes.items() if mark in note["hs_note_body"]]
    ((note_id, contact_id),) = [pair for pair in hubspot.associations if pair[0] in marked]
    assert marked == [note_id]
    contact = hubspot.contacts[contact_id]
    assert (contact["firstname"], contact["lastname"]) == ("Sarah", "Johnson")
    assert [each for each in hubspot.contacts.values() if each.get("lastname") == "Johnson"] == [contact]
    body = hubspot.notes[note_id]["hs_note_body"]
    for value in ("Sarah Johnson", "Maple Street", "4:15"):
        assert value in body


def test_the_receiver_has_one_message_however_often_it_was_sent(booked, product, crms):
    _, receiver = crms
    assert len(receiver.accepted) == 1
    assert len({received.headers["webhook-id"] for received in receiver.received}) == 1
    fields = {field["name"]: field["value"] for field in receiver.accepted[0].json["data"]["fields"]}
    assert fields["name"] == "Sarah Johnson"
    assert "Maple Street" in fields["address"]
    assert "4:15" in fields["time"]


def test_the_note_was_charged_once(booked, product):
    note = only_note(product, booked)
    reference = f"voice_note:{UUID(note['id'])}"
    entries = product.rows("SELECT amount_micro FROM billing_entry WHERE reference = ?", reference)
    assert [entry["amount_micro"] for entry in entries] == [-note["charged_micro"]]
    assert note["charged_micro"] > 0
