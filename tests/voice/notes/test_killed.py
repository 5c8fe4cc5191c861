"""kill -9 of the worker at every step of a note, on every broker: one note, one charge, and one of it in each CRM."""

import os
import re
import signal
import subprocess
import sys
import uuid
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.db import connection
from django.utils import timezone

from billing import ledger
from billing.models import Entry
from outbox import messages as outbox
from outbox.models import OutboxMessage
from tests.fakes.chat_server import ChatServer, answering, valid_answer
from tests.fakes.hubspot_server import TOKEN, FakeHubSpot
from tests.fakes.webhook_receiver import WebhookReceiver
from tests.voice.notes.workers_that_die import STEPS
from voice.models import CrmConnection, CrmDelivery, Note, WebhookDelivery, WebhookEndpoint
from voice.transcripts.store import announce_end

pytestmark = [pytest.mark.db_concurrency, pytest.mark.django_db(transaction=True)]

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
BOOKING = {"name": "Dana Scully", "address": "12 Elm Street", "email": "dana@example.com"}
ANSWER = answering(valid_answer(fields=BOOKING, field_turns=dict.fromkeys(BOOKING)))
COST_MICRO = 270_000 + 216_000
BROKERS = {
    "files": "filesystem://",
    "redis": os.environ.get("PARLEY_TEST_REDIS_URL", ""),
    "rabbitmq": os.environ.get("PARLEY_TEST_RABBITMQ_URL", ""),
}
# Where the most could be lost or done twice; the rest are for ./parley chaos.
FEW_STEPS = ["when the model has answered", "when the note is charged and not committed", "when HubSpot has the note"]
# Answers that come to nothing, beside the one that becomes the note.
SPOILED = {"when the model has answered": ANSWER, "when a bad answer is stored": answering("no JSON")}
MISSING = {
    "redis": "needs a Redis: set PARLEY_TEST_REDIS_URL=redis://host:port/0",
    "rabbitmq": "needs a RabbitMQ: set PARLEY_TEST_RABBITMQ_URL=amqp://guest:guest@host:port//",
}


@pytest.fixture(params=BROKERS)
def broker(request):
    url = BROKERS[request.param]
    if not url:
        pytest.skip(MISSING[request.param])
    return url


@pytest.fixture
def outside(organisation):
    """The model's provider, HubSpot and a receiver, with the organisation connected to both."""
    with ChatServer([ANSWER]) as chat, FakeHubSpot() as hubspot, WebhookReceiver() as receiver:
        rows = [("hubspot", TOKEN, {}), ("webhook", "whsec_aGVsbG8=", {"url": receiver.url})]
        for kind, secret, settings in rows:
            CrmConnection.objects.create(
                organisation=organisation, kind=kind, name=kind, secret=secret, settings=settings
            )
        yield SimpleNamespace(chat=chat, hubspot=hubspot, receiver=receiver)


@pytest.fixture
def workers(broker, outside, tmp_path):
    """Make a function that runs one worker until it dies at the step, or until nothing is left to do."""
    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "PARLEY_DATA_DIR": str(tmp_path),
        "CELERY_TASK_ALWAYS_EAGER": "false",
        "CELERY_BROKER_URL": broker,
        "NOTES_API_KEY": "sk-test",
        "NOTES_API_URL": outside.chat.url,
        "HUBSPOT_API_URL": outside.hubspot.url,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
        "PYTHONWARNINGS": "ignore",
    }
    database = str(connection.settings_dict["NAME"])
    command = [sys.executable, str(HERE / "workers_that_die.py"), database, f"parley-test-{uuid.uuid4().hex}"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with (
        (tmp_path / "workers.log").open("w") as log,
        subprocess.Popen(command, cwd=ROOT, env=env, stderr=log, **pipes) as process,
    ):
        assert process.stdin and process.stdout
        assert process.stdout.readline() == "ready\n"

        def run(step=""):
            lease_is_over(step)
            process.stdin.write(f"{step}\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        yield run
        process.stdin.close()
        assert process.wait(timeout=30) == 0


def lease_is_over(step):
    """Let the time come at which whoever had a message is known to be dead.

    A worker that is to die at a step of one CRM is not given the other's delivery to make before it.
    """
    pending = OutboxMessage.objects.filter(state="pending")
    pending.update(next_attempt_at=timezone.now())
    others = {"hubspot": "receiver", "webhook": "contact|hubspot"}
    for kind, steps in others.items():
        if re.search(steps, step.lower()):
            delivery_ids = map(str, CrmDelivery.objects.filter(connection__kind=kind).values_list("pk", flat=True))
            later = pending.filter(payload__delivery_id__in=list(delivery_ids))
            later.update(next_attempt_at=timezone.now() + timedelta(hours=1))


@pytest.fixture
def ended_call(keep, organisation, monkeypatch):
    """A booking whose call has just ended, with nobody there to do what follows."""
    monkeypatch.setattr(outbox, "_nudge", lambda message_id: None)
    session = keep(collected=BOOKING)
    WebhookEndpoint.objects.all().delete()
    announce_end(session.pk)
    return session


def assert_one_of_everything(session, outside, *, balance_micro):
    organisation_id = session.organisation_id
    note = Note.objects.get()
    assert (note.state, note.written_by) == ("ready", "model")
    assert {field["name"]: field["value"] for field in note.content["fields"]} == BOOKING
    ledger.expire_holds(timezone.now() + timedelta(hours=1))
    entries = Entry.objects.filter(reference=f"voice_note:{note.pk}")
    assert [entry.amount_micro for entry in entries] == [-COST_MICRO] == [-note.charged_micro]
    balance = ledger.balance_of(organisation_id)
    assert (balance.balance_micro, balance.held_micro) == (balance_micro - COST_MICRO, 0)
    assert sorted(CrmDelivery.objects.values_list("connection__kind", "state")) == [
        ("hubspot", "delivered"),
        ("webhook", "delivered"),
    ]
    hubspot = outside.hubspot
    assert (len(hubspot.contacts), len(hubspot.notes), len(hubspot.associations)) == (1, 1, 1)
    assert {received.headers["webhook-id"] for received in outside.receiver.received} == {f"note_{note.pk.hex}"}
    assert len({received.body for received in outside.receiver.received}) == 1
    assert WebhookDelivery.objects.count() == 0
    assert not OutboxMessage.objects.exclude(state="done").exists()


@pytest.mark.parametrize(
    "steps", [FEW_STEPS, pytest.param(list(filter(None, STEPS)), marks=pytest.mark.crash)], ids=["few", "every"]
)
def test_a_worker_killed_at_one_step_after_the_other_leaves_one_of_everything(ended_call, outside, workers, steps):
    """One booking, and a worker killed at each step of it in turn, until one is left alone."""
    balance_micro = ledger.balance_of(ended_call.organisation_id).balance_micro
    outside.chat._script[:0] = [SPOILED[step] for step in steps if step in SPOILED]
    for step in steps:
        assert (step, workers(step)) == (step, -signal.SIGKILL)
    assert workers() == 0
    assert_one_of_everything(ended_call, outside, balance_micro=balance_micro)
