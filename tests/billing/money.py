"""Short ways to say what a test of money starts from."""

import uuid
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from accounts.models import Organisation
from billing import ledger

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)


def an_organisation(name="Alice's Plumbing", credits_micro=0):
    organisation = Organisation.objects.create(name=name)
    ledger.open_wallet(organisation.id)
    if credits_micro:
        give(organisation, credits_micro)
    return organisation


def a_key():
    return uuid.uuid4().hex


def give(organisation, amount_micro, key=None):
    return ledger.grant(organisation.id, amount_micro, key=key or a_key(), description="to start with")


def hold(organisation, amount_micro, key=None, expires_at=LATER, reference="voice_session:1"):
    return ledger.open_hold(
        organisation.id, amount_micro, key=key or a_key(), reference=reference, expires_at=expires_at
    )


def balance(organisation):
    state = ledger.balance_of(organisation.id)
    return state.balance_micro, state.held_micro, state.available_micro


@contextmanager
def connected(signal, receiver):
    """Let the receiver hear the signal for a while."""
    signal.connect(receiver)
    try:
        yield
    finally:
        signal.disconnect(receiver)
