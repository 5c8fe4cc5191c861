"""What is wrong in the books after a process died: nothing, if all is well."""

from collections.abc import Iterator, Sequence

from django.db.models import Sum

from billing.audit import audit_ledger
from billing.models import Capture, Entry, Hold, HoldStatus, Wallet
from tests.crash.callers import TalkativeCaller
from tests.crash.model import CountingModel
from voice.models import EndReason, Session, SessionState, UsageRecord

_MAY_END_BY = {
    "SIGKILL": {EndReason.PROCESS_DIED, EndReason.TICKET_UNUSED},
    "SIGTERM": {
        EndReason.SHUTTING_DOWN,
        # A server that says goodbye to its sockets first looks to the call like a caller who left.
        EndReason.CALLER_DISCONNECTED,
        EndReason.PROCESS_DIED,
        EndReason.TICKET_UNUSED,
    },
}


def findings(callers: Sequence[TalkativeCaller], model: CountingModel, signal_name: str) -> list[str]:
    """Return a sentence for everything that is wrong with these calls, or with any wallet."""
    of_calls = [
        f"session {caller.session_id}: {problem}"
        for caller in callers
        for problem in _problems_of(caller, model.reported(caller.session_id), signal_name)
    ]
    return [*of_calls, *problems_of_wallets()]


def _problems_of(caller: TalkativeCaller, reported: int, signal_name: str) -> Iterator[str]:
    session = Session.objects.get(id=caller.session_id)
    hold = Hold.objects.get(id=session.hold_id)
    entries = [entry.amount_micro for entry in Entry.objects.filter(reference=session.reference)]
    usage = list(UsageRecord.objects.filter(session=session))
    captured_micro = sum(row.captured_micro for row in usage)
    captures = {capture.key: capture.captured_micro for capture in Capture.objects.filter(hold=hold)}
    measured = sum(not row.is_estimated for row in usage if row.source == "response")
    if session.state != SessionState.ENDED or session.ended_at is None:
        yield "it is still open"
    if session.end_reason not in _MAY_END_BY[signal_name]:
        yield f"it ended by {session.end_reason!r}"
    if hold.status == HoldStatus.OPEN:
        yield "its hold is still open"
    if entries != ([-captured_micro] if captured_micro else []):
        yield f"usage is {captured_micro}, its entries are {entries}"
    if captures != {f"{row.source}:{row.upstream_id}": row.captured_micro for row in usage}:
        yield "its captures are not its usage"
    if not session.captured_micro == hold.captured_micro == captured_micro:
        yield f"session, hold and usage say {session.captured_micro}, {hold.captured_micro} and {captured_micro}"
    if captured_micro < caller.told_micro:
        yield f"the caller was told {caller.told_micro}, the books say {captured_micro}"
    if not 0 <= reported - measured <= 1:
        # The next answer is asked for only when the one before is on the books, so no more than one can be lost.
        yield f"{reported} answers were reported, {measured} are on the books"


def problems_of_wallets() -> Iterator[str]:
    """Yield a sentence for every wallet that is not its entries, and everything that is still held."""
    for wallet in Wallet.objects.annotate(real_micro=Sum("entries__amount_micro")):
        if wallet.balance_micro != (wallet.real_micro or 0):
            yield f"wallet {wallet.pk}: balance {wallet.balance_micro}, entries {wallet.real_micro}"
        if wallet.held_micro:
            yield f"wallet {wallet.pk}: {wallet.held_micro} still held"
    open_holds = Hold.objects.filter(status=HoldStatus.OPEN).count()
    if open_holds:
        yield f"{open_holds} holds are still open"
    for finding in audit_ledger():
        yield f"{finding.row}: {finding.problem}"
