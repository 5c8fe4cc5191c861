"""What calls and requests used day by day, split by agent or by model: the billing page's chart and its table."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from django.db.models import F, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from voice.models import ApiRequest, UsageRecord
from voice.views.billing_chart import Bar, stacked_bars

USAGE_DAYS = 30
# What eyes can tell apart in one bar; the rest is added up.
_MOST_SERIES = 5
_REST = "Others"
_NO_AGENT = "Deleted agent"
# Requests of a customer's code that are no call, and have no agent.
_TEXT_AND_SPEECH = "Text and speech by API"
_NAMES = {"agent": F("session__agent__name"), "model": F("model_slug")}


@dataclass(frozen=True, slots=True)
class Series:
    """One agent or model, most used first; `number` from 1 is its colour."""

    number: int
    name: str
    total_micro: int


@dataclass(frozen=True, slots=True)
class Day:
    """`amounts_micro` in the order of the series."""

    day: date
    amounts_micro: tuple[int, ...]

    @property
    def total_micro(self) -> int:
        return sum(self.amounts_micro)


@dataclass(frozen=True, slots=True)
class Usage:
    """The last USAGE_DAYS days, oldest first, the days without calls among them."""

    series: list[Series]
    days: list[Day]
    bars: list[Bar]

    @property
    def total_micro(self) -> int:
        return sum(series.total_micro for series in self.series)

    @property
    def used_days(self) -> list[Day]:
        """Latest first, those with calls only: for the table."""
        return [day for day in reversed(self.days) if day.total_micro]


def usage_of(organisation_id: UUID, by: str) -> Usage:
    """Return what was captured for the organisation's calls and requests, split by "agent" or "model"."""
    today = timezone.localdate()
    first = today - timedelta(days=USAGE_DAYS - 1)
    amounts = _amounts(organisation_id, by, first)
    totals: dict[str, int] = defaultdict(int)
    for (_, name), amount_micro in amounts.items():
        totals[name] += amount_micro
    series = _series(totals)
    shown = {each.name for each in series if each.name != _REST}
    days = []
    for day in (first + timedelta(days=number) for number in range(USAGE_DAYS)):
        of_day: dict[str, int] = defaultdict(int)
        for name in totals:
            of_day[name if name in shown else _REST] += amounts.get((day, name), 0)
        days.append(Day(day, tuple(of_day[each.name] for each in series)))
    return Usage(series, days, stacked_bars([(f"{day.day:%d %b}", day.amounts_micro) for day in days]))


def _amounts(organisation_id: UUID, by: str, first: date) -> dict[tuple[date, str], int]:
    since = timezone.localtime().replace(
        year=first.year, month=first.month, day=first.day, hour=0, minute=0, second=0, microsecond=0
    )
    rows = (
        UsageRecord.objects.filter(session__organisation_id=organisation_id, created_at__gte=since)
        .order_by()
        .annotate(day=TruncDate("created_at"), series=_NAMES[by])
        .values_list("day", "series")
        .annotate(amount_micro=Sum("captured_micro"))
    )
    amounts: dict[tuple[date, str], int] = defaultdict(int)
    for day, name, amount_micro in rows:
        amounts[day, name or _NO_AGENT] += amount_micro
    requests = (
        ApiRequest.objects.filter(organisation_id=organisation_id, created_at__gte=since, captured_micro__gt=0)
        .order_by()
        .annotate(day=TruncDate("created_at"), series=F("model_served"))
        .values_list("day", "series")
        .annotate(amount_micro=Sum("captured_micro"))
    )
    for day, model, amount_micro in requests:
        amounts[day, model if by == "model" else _TEXT_AND_SPEECH] += amount_micro
    return amounts


def _series(totals: dict[str, int]) -> list[Series]:
    ordered = sorted(totals.items(), key=lambda item: (-item[1], item[0]))
    shown = [Series(number, name, micro) for number, (name, micro) in enumerate(ordered[:_MOST_SERIES], start=1)]
    rest_micro = sum(micro for _, micro in ordered[_MOST_SERIES:])
    return [*shown, Series(_MOST_SERIES + 1, _REST, rest_micro)] if rest_micro else shown
