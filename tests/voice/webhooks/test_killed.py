"""kill -9 of the worker at every step of a delivery: the event arrives, as one message, and nothing is left to do."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

from outbox.models import OutboxMessage
from outbox.tasks import deliver_message
from voice.models import EventType, WebhookDelivery, WebhookState
from voice.webhooks.events import emit

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
REST = {
    "before it is sent": 0,
    "while it is written down": 1,
    "before the message is done": 1,
}
STEPS = [("after it is sent", 1), *(pytest.param(*step, marks=pytest.mark.crash) for step in REST.items())]


def run_until_killed(step):
    command = [sys.executable, str(HERE / "webhook_that_dies.py"), str(connection.settings_dict["NAME"]), step]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert run.returncode == -signal.SIGKILL, run.stderr


@pytest.mark.db_concurrency
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("step", "sent"), STEPS)
def test_it_arrives_as_one_message(organisation, endpoint, receiver, work, step, sent, monkeypatch):
    monkeypatch.setattr(deliver_message, "delay", lambda message_id: None)
    emit(organisation.pk, EventType.CREDITS_LOW, {"balance_micro": 7}, key="k")
    run_until_killed(step)
    assert len(receiver.received) == sent
    work()
    assert len({one.headers["webhook-id"] for one in receiver.accepted}) == 1
    assert len({one.body for one in receiver.accepted}) == 1
    assert WebhookDelivery.objects.get().state == WebhookState.DELIVERED
    assert not OutboxMessage.objects.exclude(state="done").exists()
