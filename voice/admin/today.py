"""Today at a glance: what the operator sees first."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django.core.cache import cache
from django.db.models import Count, Q, Sum
from django.utils import timezone

from accounts.models import User
from billing import margin
from voice.metering.provider_cost import margins_since
from voice.models import EndReason, Session, SessionState, Switches

# Adding up a busy day reads all its usage; several operators with the page open must not do that at every look.
_MONEY_KEPT_S = 15
# A live call's process says every few seconds that it lives.
_SILENT_AFTER = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Money:
    """A day's usage, of calls, notes and requests, in micro-credits.

    What was charged for it, what could not be, and what the providers charge us.
    """

    charged_micro: int
    uncollected_micro: int
    cost_micro: int

    @property
    def margin_micro(self) -> int:
        return self.charged_micro - self.cost_micro

    @property
    def margin_percent(self) -> int | None:
        """Share of what was charged; None when nothing was."""
        return self.margin_micro * 100 // self.charged_micro if self.charged_micro else None


@dataclass(frozen=True, slots=True)
class EndReasonCount:
    value: str
    label: str
    calls: int


@dataclass(frozen=True, slots=True)
class Today:
    day: date
    live_calls: int
    silent_calls: int
    calls: int
    minutes: int
    sign_ups: int
    money: Money
    end_reasons: list[EndReasonCount]
    calls_paused: bool
    pause_message: str


def today_at_a_glance() -> Today:
    """Return the figures of the day so far, in the server's time zone; calls count on the day they ended."""
    day = timezone.localdate()
    start = timezone.make_aware(datetime.combine(day, time.min))
    ended = Session.objects.filter(ended_at__gte=start).exclude(end_reason=EndReason.TICKET_UNUSED)
    live = Session.objects.filter(state=SessionState.LIVE).aggregate(
        calls=Count("pk"), silent=Count("pk", filter=Q(seen_at__lt=timezone.now() - _SILENT_AFTER))
    )
    totals = ended.aggregate(calls=Count("pk"), duration_ms=Sum("duration_ms"))
    switches = Switches.objects.filter(pk=1).first() or Switches()
    return Today(
        day=day,
        live_calls=live["calls"],
        silent_calls=live["silent"],
        calls=totals["calls"],
        minutes=(totals["duration_ms"] or 0) // 60_000,
        sign_ups=User.objects.filter(date_joined__gte=start).count(),
        money=_money_since(start),
        end_reasons=_end_reasons(ended),
        calls_paused=switches.calls_paused,
        pause_message=switches.pause_message,
    )


def _money_since(start: datetime) -> Money:
    key = f"admin:money:{start.isoformat()}"
    money = cache.get(key)
    if not isinstance(money, Money):
        money = _add_up(start)
        cache.set(key, money, _MONEY_KEPT_S)
    return money


def _add_up(start: datetime) -> Money:
    day = margin.total("today", margins_since(start))
    return Money(day.charged_micro, day.uncollected_micro, day.cost_micro)


def _end_reasons(ended: Any) -> list[EndReasonCount]:
    rows = ended.order_by().values_list("end_reason").annotate(calls=Count("pk")).order_by("-calls", "end_reason")
    labels = dict(EndReason.choices)
    return [EndReasonCount(value, labels.get(value, "Not written down"), calls) for value, calls in rows]
