"""Close a call's hold: what was captured leaves the wallet as one entry, the rest is free again."""

from uuid import UUID

from django.db import transaction

from billing import ledger
from voice.metering.receipt import Receipt, receipt_of
from voice.models import Session


@transaction.atomic
def settle_session(session_id: UUID) -> Receipt:
    """Settle the session's hold and return its receipt. A repeat settles nothing and returns the same."""
    session = Session.objects.select_for_update(no_key=True, of=("self",)).select_related("agent").get(id=session_id)
    close_hold(session)
    return receipt_of(session)


def close_hold(session: Session) -> None:
    if session.hold_id is not None:
        ledger.settle_hold(session.hold_id, description=_description(session))


def _description(session: Session) -> str:
    name = session.agent.name if session.agent else "an assistant"
    return "Call with " + "".join(character for character in name if character.isprintable())
