"""Write down who looked at, took away or changed what was said; never a word of it."""

from collections.abc import Mapping

from accounts.models import User
from voice.models import Session, TranscriptAudit


def write(
    session: Session,
    action: TranscriptAudit.Action,
    actor: User | None,
    *,
    caller: str = "",
    counts: Mapping[str, int] | None = None,
) -> None:
    TranscriptAudit.objects.create(
        action=action,
        organisation_id=session.organisation_id,
        actor=actor,
        session_id=session.pk,
        caller=caller,
        counts=dict(counts or {}),
    )
