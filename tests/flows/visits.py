"""How a caller comes to a ticket: by asking for one over HTTP, as the page does, or by a shorter way."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.test import AsyncClient
from django.utils import timezone

from billing import ledger
from tests.flows.browser import ORIGIN
from voice.admission import tickets
from voice.admission.captcha_memory import COOKIE, remember
from voice.models import Agent, Session

CLIENT_IP = "127.0.0.1"


def visitor() -> AsyncClient:
    """Return a browser whose user has solved a CAPTCHA a moment ago."""
    client = AsyncClient()
    client.cookies[COOKIE] = remember(CLIENT_IP)
    return client


async def asks_for_a_call(agent: Agent, client: AsyncClient | None = None, **fields: Any) -> Any:
    """Return the answer to POST /v1/voice/sessions."""
    return await posts("/v1/voice/sessions", {"agent": agent.public_key, **fields}, client or visitor())


async def posts(path: str, body: dict[str, Any], client: AsyncClient) -> Any:
    return await client.post(path, body, content_type="application/json", headers={"Origin": ORIGIN})


async def ticket_for(agent: Agent, **fields: Any) -> str:
    answer = await asks_for_a_call(agent, **fields)
    assert answer.status_code == 201, answer.content
    return str(answer.json()["ticket"])


def admitted(agent: Agent, *, held_micro: int = 10 * ledger.MICRO, **fields: Any) -> str:
    """Open a session as admission does, holding so much; return its ticket."""
    now = timezone.now()
    session = Session(
        id=uuid4(),
        organisation=agent.organisation,
        agent=agent,
        model_asked="gpt-realtime-mini",
        model_served="gpt-realtime-mini",
        client_ip=CLIENT_IP,
        ticket_expires_at=now + timedelta(seconds=60),
        **fields,
    )
    hold = ledger.open_hold(
        agent.organisation_id,
        held_micro,
        key=session.reference,
        reference=session.reference,
        expires_at=now + timedelta(hours=1),
    )
    session.hold_id = hold.id
    session.save(force_insert=True)
    return tickets.issue(session.id)
