"""Incidents, as the public reads them."""

from datetime import datetime, timedelta

from django.db.models import Q

from voice.models import Incident
from voice.status.history import SHOWN_DAYS

_MOST_SHOWN = 50


def public_incidents(now: datetime) -> list[Incident]:
    """Return those that are announced, those going on and those that ended within SHOWN_DAYS, the latest first."""
    recent = Q(ended_at=None) | Q(ended_at__gt=now - timedelta(days=SHOWN_DAYS))
    return list(Incident.objects.filter(recent, is_public=True).select_related("model")[:_MOST_SHOWN])


def is_going_on(incident: Incident, now: datetime) -> bool:
    return incident.started_at <= now and (incident.ended_at is None or incident.ended_at > now)
