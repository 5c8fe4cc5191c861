"""What tests of the voice app share: the catalogue, an organisation with credits, its agent and its calls."""

from datetime import timedelta
from types import SimpleNamespace
from uuid import uuid4

import pytest
from django.utils import timezone

from billing import ledger
from tests import factories
from voice.models import Session

CREDIT = ledger.MICRO


@pytest.fixture
def catalogue(db):
    """The catalogue as a new installation has it."""
    from voice.catalogue.seed import seed_catalogue

    seed_catalogue()


@pytest.fixture
def organisation(db):
    """One with 1000 credits."""
    return factories.make_organisation(credits=1000)


@pytest.fixture
def agent(organisation, catalogue):
    """A public agent of the organisation's, served by gpt-realtime-mini's embedded stand-in."""
    return factories.make_agent(organisation, is_public=True)


@pytest.fixture
def open_session(agent):
    """Open a session as admission does, holding so much."""

    def make(*, held_micro=10 * CREDIT, state="live", of=agent, **fields):
        now = timezone.now()
        session = Session(
            id=uuid4(),
            **{
                "organisation": of.organisation,
                "agent": of,
                "state": state,
                "model_asked": "gpt-realtime-mini",
                "model_served": "gpt-realtime-mini",
                "client_ip": "203.0.113.7",
                "ticket_expires_at": now + timedelta(seconds=60),
                "created_at": now,
                "started_at": now if state == "live" else None,
                "seen_at": now if state == "live" else None,
                **fields,
            },
        )
        if held_micro:
            hold = ledger.open_hold(
                of.organisation_id,
                held_micro,
                key=session.reference,
                reference=session.reference,
                expires_at=now + timedelta(hours=1),
            )
            session.hold_id = hold.id
        session.save(force_insert=True)
        return session

    return make


@pytest.fixture(autouse=True)
def one_window(monkeypatch):
    """Rate limits count in windows of the wall clock; no test may fall into two of them."""
    monkeypatch.setattr("django_ratelimit.core.time", SimpleNamespace(time=lambda: 1_800_000_000))
