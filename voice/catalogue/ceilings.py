"""What may still be spent beside what the wallet allows: an agent's day, an API key's month, a client secret's cap."""

from datetime import datetime
from uuid import UUID

from django.db.models import Case, F, QuerySet, Sum, When
from django.db.models.functions import Coalesce
from django.utils import timezone

from accounts.models import ApiKey
from voice.models import Agent, ApiRequest, ClientSecret, Session, SessionState

__all__ = [
    "remaining_of_key_micro",
    "remaining_of_secret_micro",
    "remaining_today_micro",
    "start_of_day",
    "start_of_month",
    "used_of_key_micro",
]

# A call that is over counts what it cost, one that is not what it has claimed, which is never less.
_SPENT = Case(
    When(state=SessionState.ENDED, then=F("captured_micro")),
    default=Coalesce(F("spend_cap_micro"), F("captured_micro")),
)


def start_of_day(now: datetime) -> datetime:
    return timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)


def remaining_today_micro(agent: Agent, now: datetime, *, excluding: UUID | None = None) -> int:
    """Return what is left of the agent's daily ceiling for calls by the public that began today; may be negative.

    A call that is over counts what it cost, one that is not what it has claimed (`Session.spend_cap_micro`), which is
    always as much as its hold: so calls at the same time cannot pass the ceiling together. Exact only while the agent's
    row is locked, which whoever claims more must do.
    """
    sessions = Session.objects.filter(agent=agent, is_member=False, created_at__gte=start_of_day(now))
    return agent.daily_ceiling_micro - _total_micro(sessions, excluding)


def start_of_month(now: datetime) -> datetime:
    return start_of_day(now).replace(day=1)


def remaining_of_key_micro(key: ApiKey, now: datetime, *, excluding: UUID | None = None) -> int | None:
    """Return what is left of a key's budget for the month of `now`, None without one; may be negative.

    Counted as the day of an agent is: what is over by its cost, what is not by its claim. Exact only while the key's
    row is locked, which whoever claims more must do. `excluding`: a session or a request.
    """
    if key.monthly_budget_micro is None:
        return None
    return key.monthly_budget_micro - used_of_key_micro(key, now, excluding=excluding)


def used_of_key_micro(key: ApiKey, now: datetime, *, excluding: UUID | None = None) -> int:
    """Return what a key's calls and requests that began this month have cost, or may still cost."""
    since = start_of_month(now)
    sessions = Session.objects.filter(api_key=key, created_at__gte=since)
    requests = ApiRequest.objects.filter(api_key=key, created_at__gte=since)
    if excluding is not None:
        requests = requests.exclude(id=excluding)
    cost = Case(When(settled_at=None, then=F("held_micro")), default=F("captured_micro"))
    return _total_micro(sessions, excluding) + (requests.aggregate(total=Sum(cost))["total"] or 0)


def remaining_of_secret_micro(secret: ClientSecret, *, excluding: UUID | None = None) -> int | None:
    """Return what calls opened with a client secret may still cost, None without a cap; may be negative."""
    if secret.credits_cap_micro is None:
        return None
    return secret.credits_cap_micro - _total_micro(Session.objects.filter(client_secret=secret), excluding)


def _total_micro(sessions: QuerySet[Session], excluding: UUID | None) -> int:
    if excluding is not None:
        sessions = sessions.exclude(id=excluding)
    return sessions.aggregate(total=Sum(_SPENT))["total"] or 0
