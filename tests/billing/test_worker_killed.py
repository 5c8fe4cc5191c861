"""kill -9 of a worker with one of Stripe's events in its hands: the next one does it, and does it once."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from billing import event_handlers
from billing.models import Entry, StripeEvent
from billing.stripe.webhook import notice_of
from tests.billing.money import an_organisation
from tests.billing.paying import credits, start

HERE = Path(__file__).parent
KILLED = -9
# Before anything, after the claim, with the purchase locked, with the entry written, before the event is marked.
EVERY_STEP = (1, 3, 5, 9, 12)


def run_worker(stripe, event_id, step):
    """Let a worker of its own act upon the event, killed at this step, and return how it ended."""
    database = str(connection.settings_dict["NAME"])
    return subprocess.run(
        [sys.executable, str(HERE / "worker_that_dies.py"), database, stripe.base, event_id, str(step)],
        cwd=HERE.parent.parent,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=120,
    ).returncode


@pytest.mark.django_db(transaction=True)
@pytest.mark.db_concurrency
@pytest.mark.parametrize("steps", [(9,), pytest.param(EVERY_STEP, marks=pytest.mark.crash)])
def test_a_killed_workers_event_is_done_by_the_next_one_exactly_once(stripe, ann, steps):
    bob = an_organisation("Bob's Bakery")
    stripe.pay(start(bob, ann).stripe_checkout_id)
    event = stripe.events[-1]
    event_handlers.store(notice_of(event))
    for step in steps:
        assert run_worker(stripe, event["id"], step) == KILLED
        assert (StripeEvent.objects.get().state, credits(bob)) == ("received", 0)
    event_handlers.sweep(timezone.now() + timedelta(days=1))
    event_handlers.sweep(timezone.now() + timedelta(days=2))
    assert (StripeEvent.objects.get().state, credits(bob)) == ("handled", 500)
    assert Entry.objects.filter(kind="purchase").count() == 1
