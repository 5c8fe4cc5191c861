"""Voice's work off the request: each task is safe to run twice and takes nothing but plain values."""

from datetime import timedelta
from typing import Any

from celery import shared_task
from celery.signals import worker_ready
from django.conf import settings
from django.utils import timezone

from voice.catalogue.shutdown import note_shutdowns, warn_of_shutdowns
from voice.metering.http_requests import settle_abandoned
from voice.metering.sweep import settle_dead_sessions
from voice.models import ClientSecret, IdempotentRequest, Session, SessionState
from voice.sessions.fallback.probes import probe_due_models
from voice.status import beats
from voice.transcripts.retention import delete_expired
from voice.webhooks.delivery import forget_old_deliveries


@shared_task  # type: ignore[untyped-decorator]
def sweep_sessions() -> None:
    """Settle what nobody will settle any more."""
    settle_dead_sessions(timezone.now())
    settle_abandoned(timezone.now())


@shared_task  # type: ignore[untyped-decorator]
def forget_client_addresses() -> None:
    """Remove callers' addresses once they are of no use against abuse."""
    limit = timezone.now() - timedelta(days=settings.CLIENT_IP_KEPT_DAYS)
    old = Session.objects.filter(state=SessionState.ENDED, created_at__lt=limit)
    old.exclude(client_ip=None).update(client_ip=None)


@shared_task  # type: ignore[untyped-decorator]
def delete_expired_words() -> None:
    """Remove what was said once its organisation's days are over; what one run leaves, the next takes."""
    delete_expired(timezone.now())


@shared_task  # type: ignore[untyped-decorator]
def forget_old_webhook_deliveries() -> None:
    """Remove the log of deliveries that are over."""
    forget_old_deliveries(timezone.now())


@shared_task  # type: ignore[untyped-decorator]
def forget_old_api_answers() -> None:
    """Remove answers that are repeated no longer, and client secrets whose last calls are long over."""
    now = timezone.now()
    IdempotentRequest.objects.filter(expires_at__lte=now).delete()
    ClientSecret.objects.filter(expires_at__lte=now - timedelta(days=7)).delete()


@shared_task  # type: ignore[untyped-decorator]
def probe_models() -> None:
    """Look at the models that are due, so that those which fell silent come back by themselves."""
    probe_due_models(timezone.now())


@shared_task  # type: ignore[untyped-decorator]
def watch_shutdowns() -> None:
    """Tell operators of the models that end soon, and write down those whose day has come."""
    warn_of_shutdowns(timezone.localdate())
    note_shutdowns(timezone.localdate())


@shared_task  # type: ignore[untyped-decorator]
def beat() -> None:
    """Say that a worker lives, and how it finds everything else."""
    beats.record_beat(timezone.now())


@shared_task  # type: ignore[untyped-decorator]
def forget_old_checks() -> None:
    """Remove the status page's days that nobody looks back to."""
    beats.forget_old_checks(timezone.now())


@worker_ready.connect  # type: ignore[untyped-decorator]
def beat_at_once(**_: Any) -> None:
    """A new installation must not be called silent until the schedule's first round."""
    beat.delay()
