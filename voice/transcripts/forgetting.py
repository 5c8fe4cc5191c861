"""“Forget this caller” and “what do you hold of me?”, by the pseudonym of the caller's browser."""

from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Min, QuerySet
from django.utils.crypto import salted_hmac

from accounts.models import User
from voice.models import Session, TranscriptAudit, WebhookDelivery
from voice.transcripts import audit
from voice.transcripts.deletion import Counts, delete_words
from voice.transcripts.export import as_dict, collected_as_dicts
from voice.transcripts.holders import holders
from voice.transcripts.reading import collected_fields_of, transcript_of

_BATCH = 200
# More calls than this of one caller are handed out in part, and the file says so.
EXPORTED_MOST = 1000


def calls_of_caller(session: Session) -> QuerySet[Session]:
    """Return the organisation's calls by whoever made this one; only itself where the caller has no pseudonym."""
    of_organisation = Session.objects.filter(organisation_id=session.organisation_id)
    if not session.visitor_id:
        return of_organisation.filter(pk=session.pk)
    return of_organisation.filter(visitor_id=session.visitor_id)


def forget_caller(session: Session, actor: User) -> Counts:
    """Delete all words of the caller's calls and whatever tells whose they were; money, times and stars stay.

    A call that is live keeps nothing at its end either. Bounded transactions: interrupted, it is gone on with by
    asking again, and what was reached is forgotten.
    """
    caller = caller_mark(session)
    totals: Counts = {"calls": 0}
    while session_ids := list(_not_forgotten(session).values_list("pk", flat=True)[:_BATCH]):
        _add(totals, _forget(session_ids))
        if not session.visitor_id:
            break
    audit.write(session, TranscriptAudit.Action.FORGOT_CALLER, actor, caller=caller, counts=totals)
    return totals


def export_caller(session: Session, actor: User) -> dict[str, Any]:
    """Return all that is held of the caller of this session, as plain values, and write down who took it."""
    calls = calls_of_caller(session).select_related("agent").order_by("created_at")
    exported = [_export_of(each) for each in calls[:EXPORTED_MOST]]
    counts = {"calls": len(exported)}
    audit.write(session, TranscriptAudit.Action.EXPORTED_CALLER, actor, caller=caller_mark(session), counts=counts)
    return {"caller": session.visitor_id, "calls_in_all": calls.count(), "calls": exported}


def caller_mark(session: Session) -> str:
    """Return what the audit keeps of a caller: enough to answer “was this one forgotten?”, and nothing else."""
    if not session.visitor_id:
        return ""
    return salted_hmac("voice.transcripts.forgetting", session.visitor_id, algorithm="sha256").hexdigest()


def _not_forgotten(session: Session) -> QuerySet[Session]:
    return calls_of_caller(session).order_by("pk")


@transaction.atomic
def _forget(session_ids: list[UUID]) -> Counts:
    counts = delete_words(session_ids)
    _blank_deliveries(session_ids)
    calls = Session.objects.filter(pk__in=session_ids)
    # The consent too: the end of a live call asks the row whether its words may be kept (store.py).
    changed = calls.update(
        visitor_id="", client_ip=None, metadata={}, consent=None, consent_version="", consent_at=None
    )
    return {"calls": changed, **counts}


def _blank_deliveries(session_ids: list[UUID]) -> None:
    """Take what a customer's code said of its caller out of the webhooks' log, and out of what is still to be sent."""
    calls = Session.objects.filter(pk__in=session_ids)
    about = WebhookDelivery.objects.filter(
        organisation__in=calls.values("organisation"),
        created_at__gte=calls.aggregate(first=Min("created_at"))["first"],
        data__session_id__in=[str(session_id) for session_id in session_ids],
    )
    told = [delivery for delivery in about.only("data") if delivery.data.get("metadata")]
    for delivery in told:
        delivery.data = {**delivery.data, "metadata": {}}
    WebhookDelivery.objects.bulk_update(told, ["data"], batch_size=_BATCH)


def _add(totals: Counts, counts: Counts) -> None:
    for name, count in counts.items():
        totals[name] = totals.get(name, 0) + count


def _export_of(session: Session) -> dict[str, Any]:
    transcript = transcript_of(session.pk)
    return {
        "id": str(session.pk),
        "agent": session.agent.name if session.agent else None,
        "created_at": session.created_at.isoformat(),
        "duration_ms": session.duration_ms,
        "spoken": session.is_voice,
        "language": session.language,
        "outcome": session.outcome,
        "stars": session.stars,
        "comment": session.comment,
        "address": session.client_ip,
        "metadata": session.metadata,
        "consent": {
            "policy": session.transcript_policy,
            "answer": session.consent,
            "wording": session.consent_version,
            "at": session.consent_at.isoformat() if session.consent_at else None,
        },
        "transcript": as_dict(transcript) if transcript else None,
        "collected": collected_as_dicts(collected_fields_of(session.pk)),
        **{holder.name: holder.export(session.pk) for holder in holders()},
    }
