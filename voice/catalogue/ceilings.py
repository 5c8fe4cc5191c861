"""What a public agent's callers may still cost today."""

from datetime import datetime
from uuid import UUID

from django.db.models import Case, F, Sum, Value, When
from django.db.models.functions import Coalesce
from django.utils import timezone

from voice.models import Agent, Session, SessionState

__all__ = ["remaining_today_micro", "start_of_day"]


def start_of_day(now: datetime) -> datetime:
    return timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)


def remaining_today_micro(agent: Agent, now: datetime, *, excluding: UUID | None = None) -> int:
    """Return what is left of the agent's daily ceiling for calls by the public that began today; may be negative.

    A call that is over counts what it cost, one that is not what it has claimed (`Session.spend_cap_micro`), which is
    always as much as its hold: so calls at the same time cannot pass the ceiling together. Exact only while the agent's
    row is locked, which whoever claims more must do.
    """
    spent = Case(
        When(state=SessionState.ENDED, then=F("captured_micro")),
        default=Coalesce(F("spend_cap_micro"), Value(0)),
    )
    sessions = Session.objects.filter(agent=agent, is_member=False, created_at__gte=start_of_day(now))
    if excluding is not None:
        sessions = sessions.exclude(id=excluding)
    total_micro = sessions.aggregate(total=Sum(spent))["total"]
    return agent.daily_ceiling_micro - (total_micro or 0)
