"""Audits that are kept: asked for by the operator or the schedule, done by a worker, read by the admin's page."""

from dataclasses import asdict
from datetime import datetime, timedelta
from itertools import islice

import structlog
from django.db import transaction
from django.utils import timezone

from billing.audit import audit_ledger
from billing.margin import Margin, margins_since, spent_since
from billing.models import AuditRun
from outbox import messages as outbox

RUN = "billing.audit"
FINDINGS_KEPT = 100
RUNS_KEPT = 30
MARGIN_OVER = timedelta(days=30)
# Longer than the task may run: after that its worker is dead, and another audit may be asked for.
GIVEN_UP_AFTER = timedelta(minutes=10)

log = structlog.get_logger(__name__)


def ask_for_audit(asked_by: str) -> AuditRun:
    """Let a worker recompute the books, and return the run; the one that is under way, if there is one."""
    with transaction.atomic():
        run = under_way(timezone.now()) or AuditRun.objects.create(asked_by=asked_by)
        outbox.put(RUN, f"audit:{run.pk}", {"run_id": run.pk})
    return run


def under_way(now: datetime) -> AuditRun | None:
    return AuditRun.objects.filter(finished_at__isnull=True, asked_at__gt=now - GIVEN_UP_AFTER).first()


def last_finished() -> AuditRun | None:
    return AuditRun.objects.filter(finished_at__isnull=False).first()


def carry_out(payload: outbox.Payload) -> None:
    """Recompute the books and keep what was found; nothing when it was done already."""
    run = AuditRun.objects.filter(pk=payload["run_id"], finished_at__isnull=True).first()
    if run is None:
        return
    findings = list(islice(audit_ledger(), FINDINGS_KEPT + 1))
    run.has_more_findings = len(findings) > FINDINGS_KEPT
    run.findings = [asdict(finding) for finding in findings[:FINDINGS_KEPT]]
    run.margin_since = timezone.now() - MARGIN_OVER
    run.margins = [asdict(row) for row in margins_since(run.margin_since)]
    spent = spent_since(run.margin_since)
    run.spent_purchased_micro, run.spent_granted_micro = spent["purchased"], spent["granted"]
    run.finished_at = timezone.now()
    run.save()
    if findings:
        log.error("books_do_not_add_up", audit=run.pk, findings=len(run.findings), first=findings[0].row)
    _forget_old_runs()


def margins_of(run: AuditRun) -> list[Margin]:
    return [Margin(**row) for row in run.margins]


def _forget_old_runs() -> None:
    kept = AuditRun.objects.values_list("pk", flat=True)[:RUNS_KEPT]
    AuditRun.objects.exclude(pk__in=list(kept)).delete()


outbox.register(RUN, carry_out, keep_trying=GIVEN_UP_AFTER)
