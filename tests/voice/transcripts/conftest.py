"""A conversation that its caller agreed to have kept."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.factories import make_agent, make_cast, make_session, make_turn
from voice.models import Agent, CollectedFields, Session, Transcript
from voice.transcripts import store
from voice.transcripts.recorder import TurnText

WORDS = ["Hello, Rosewood Dental.", "I am Ada Lovelace.", "Booked for Friday, Ada."]


@pytest.fixture
def cast(db):
    return make_cast()


@pytest.fixture
def agent(cast):
    return make_agent(cast.organisation, transcript_policy="ask")


@pytest.fixture
def converse(agent):
    """Make an ended call with three turns; `agrees` and other fields are the session's."""

    def make(
        of: Agent = agent, *, agrees: bool = True, words: list[str] | None = None, days_ago: int = 0, **fields: Any
    ) -> Session:
        at = timezone.now() - timedelta(days=days_ago)
        session = make_session(
            of,
            **{
                "transcript_policy": "ask",
                "consent": agrees,
                "consent_version": "ask-1/90d",
                "consent_at": at,
                "visitor_id": "v" * 64,
                "created_at": at,
                **fields,
            },
        )
        for index, speaker in enumerate(["agent", "caller", "agent"]):
            make_turn(session, index, speaker)
        store.save(session, [TurnText(index, text) for index, text in enumerate(words or WORDS)])
        store.save_fields(session.pk, "call_1", "book_appointment", {"name": "Ada Lovelace"})
        if days_ago:
            Transcript.objects.filter(session=session).update(created_at=at, deletes_at=at + timedelta(days=90))
            CollectedFields.objects.filter(session=session).update(completed_at=at)
        return session

    return make
