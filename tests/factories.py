"""The cast and their things: alice owns an organisation, bob is a member of it, mallory has another one."""

import itertools
from datetime import timedelta
from functools import cache
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from allauth.account.models import EmailAddress
from django.contrib.auth.hashers import make_password
from django.utils import timezone

from accounts.models import Membership, Organisation, Role, User
from accounts.organisations import create_organisation
from billing import ledger
from voice.models import Agent, EndReason, Outcome, Rung, Session, Turn, UsageRecord
from voice.models.rung import RungKind
from voice.models.session import SessionState

PASSWORD = "correct horse battery staple"
MICRO = ledger.MICRO
_numbers = itertools.count(1)


def make_user(email: str | None = None, *, verified: bool = True, **fields: Any) -> User:
    user = User(email=email or f"person{next(_numbers)}@example.com", password=_hash_of_password(), **fields)
    user.save()
    EmailAddress.objects.create(user=user, email=user.email, verified=verified, primary=True)
    return user


@cache
def _hash_of_password() -> str:
    # A good hash is slow to make, and every test has a cast of three.
    return make_password(PASSWORD)


def make_organisation(name: str = "Rosewood Dental", owner: User | None = None, *, credits: int = 0) -> Organisation:
    """Make an organisation without the credits of signing up: what is in its wallet is `credits`."""
    organisation = create_organisation(name, None)
    if owner is not None:
        add_member(organisation, owner, Role.OWNER)
    fund(organisation, credits)
    return organisation


def add_member(organisation: Organisation, user: User, role: str = Role.MEMBER) -> Membership:
    return Membership.objects.create(organisation=organisation, user=user, role=role)


def fund(organisation: Organisation, credits: int) -> None:
    if credits:
        ledger.grant(organisation.pk, credits * MICRO, key=f"test:{next(_numbers)}", description="For a test")


def make_cast() -> SimpleNamespace:
    """Return alice (owner) and bob (member) of `organisation`, mallory (owner) of `other_organisation`."""
    alice, bob, mallory = (make_user(f"{name}@example.com", name=name.title()) for name in ("alice", "bob", "mallory"))
    organisation = make_organisation("Rosewood Dental", alice, credits=1000)
    add_member(organisation, bob)
    return SimpleNamespace(
        alice=alice,
        bob=bob,
        mallory=mallory,
        organisation=organisation,
        other_organisation=make_organisation("Mallory Ltd", mallory, credits=1000),
    )


def make_agent(organisation: Organisation, **fields: Any) -> Agent:
    defaults: dict[str, Any] = {
        "name": "Reception",
        "template": "appointment",
        "instructions": "You answer the telephone of a dental practice.\n\nOpening hours: Monday to Friday, 9 to 5.",
        "greeting": "Hello, Rosewood Dental, how can I help?",
        "collects": [{"name": "name", "description": "the caller's full name"}],
        "task_name": "book_appointment",
        "model_slug": "gpt-realtime-mini",
    }
    return Agent.objects.create(organisation=organisation, **{**defaults, **fields})


def make_session(agent: Agent, **fields: Any) -> Session:
    """Make a call that ended well a minute ago, without turns or usage."""
    now = timezone.now()
    defaults: dict[str, Any] = {
        "state": SessionState.ENDED,
        "model_asked": agent.model_slug,
        "model_served": agent.model_slug,
        "ticket_expires_at": now,
        "created_at": now - timedelta(minutes=2),
        "started_at": now - timedelta(minutes=2),
        "ended_at": now - timedelta(minutes=1),
        "duration_ms": 60_000,
        "end_reason": EndReason.CALLER_HUNG_UP,
        "outcome": Outcome.COMPLETED,
    }
    return Session.objects.create(agent=agent, organisation=agent.organisation, **{**defaults, **fields})


def make_rung(session: Session, model_slug: str, **fields: Any) -> Rung:
    """Make one model that held a call, the first one unless told."""
    defaults: dict[str, Any] = {"index": 0, "kind": RungKind.REALTIME, "reason": "", "at_ms": 0, "waited_ms": None}
    return Rung.objects.create(session=session, model_slug=model_slug, **(defaults | fields))


def make_turn(session: Session, index: int, speaker: str, **fields: Any) -> Turn:
    defaults: dict[str, Any] = {"item_id": f"item_{index}", "started_ms": index * 3000, "ended_ms": index * 3000 + 2000}
    return Turn.objects.create(session=session, index=index, speaker=speaker, **{**defaults, **fields})


def make_usage(session: Session, *lines: tuple[str, int, int, int], **fields: Any) -> UsageRecord:
    """Make a usage row of `lines`: (kind, quantity, micro_per_million, amount_micro), all of it captured."""
    names = ("kind", "quantity", "micro_per_million", "amount_micro")
    amount_micro = sum(line[3] for line in lines)
    defaults: dict[str, Any] = {
        "source": UsageRecord.Source.RESPONSE,
        "upstream_id": f"resp_{next(_numbers)}",
        "model_slug": session.model_served,
        "usage": {},
        "lines": [dict(zip(names, line, strict=True)) for line in lines],
        "amount_micro": amount_micro,
        "captured_micro": amount_micro,
    }
    return UsageRecord.objects.create(session=session, **{**defaults, **fields})


def balance_micro(organisation_id: UUID) -> int:
    return ledger.balance_of(organisation_id).balance_micro
