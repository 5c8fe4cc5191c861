"""How parts and models did over the last 90 days: what was counted each day, and how long a model was away."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from django.utils import timezone

from voice.catalogue.status_log import DOWN, UP
from voice.models import CheckDay, ModelStatus, ModelStatusChange
from voice.status.states import DayState, day_state

SHOWN_DAYS = 90


@dataclass(frozen=True, slots=True)
class Day:
    """`down_s` and `maintenance_s` are for how long calls were kept from a model; a part has none."""

    day: date
    state: DayState
    checks: int = 0
    failed: int = 0
    down_s: int = 0
    maintenance_s: int = 0


@dataclass(frozen=True, slots=True)
class History:
    """Ninety days, the oldest first; today is the last."""

    days: tuple[Day, ...]

    @property
    def checks(self) -> int:
        return sum(day.checks for day in self.days)

    @property
    def failed(self) -> int:
        return sum(day.failed for day in self.days)

    @property
    def answered_percent(self) -> str:
        """Share of the checks that found nothing wanting, "99.98", rounded down; "" when nobody looked."""
        if not self.checks:
            return ""
        hundredths = (self.checks - self.failed) * 10_000 // self.checks
        return f"{hundredths // 100}.{hundredths % 100:02}"

    @property
    def troubled(self) -> list[Day]:
        """The days that a reader asks about, the latest first."""
        calm = (DayState.OPERATIONAL, DayState.UNKNOWN)
        return [day for day in reversed(self.days) if day.state not in calm]


@dataclass(frozen=True, slots=True)
class Away:
    """For how long calls were kept from a model: `end` is None while they still are."""

    kind: str
    start: datetime
    end: datetime | None


def histories(part_keys: Iterable[str], model_slugs: Iterable[str], now: datetime) -> dict[str, History]:
    """Return the histories by subject ("component:KEY", "model:SLUG"), in two statements."""
    subjects = [*(f"component:{key}" for key in part_keys), *(f"model:{slug}" for slug in model_slugs)]
    today = timezone.localdate(now)
    first = today - timedelta(days=SHOWN_DAYS - 1)
    rows = CheckDay.objects.filter(subject__in=subjects, day__gte=first, day__lte=today)
    counted = {(row.subject, row.day): row for row in rows}
    away = _away_by_subject(_midnight(first))
    return {subject: _history(subject, first, now, counted, away[subject]) for subject in subjects}


def spells(changes: Iterable[tuple[datetime, str, str]], start: datetime) -> Iterator[Away]:
    """Yield when calls were kept from a model, from its changes `(at, before, after)`, the oldest first.

    What was so before the first change had begun by `start`. The breaker's words and an operator's are two tracks.
    """
    tracks = (({UP, DOWN}, DOWN), (set(ModelStatus.values), ModelStatus.MAINTENANCE))
    changes = list(changes)
    for words, bad in tracks:
        own = [change for change in changes if change[2] in words]
        began = start if own and own[0][1] == bad else None
        for at, _, after in own:
            if began is not None and after != bad:
                yield Away(bad, began, at)
                began = None
            elif began is None and after == bad:
                began = at
        if began is not None:
            yield Away(bad, began, None)


def _away_by_subject(start: datetime) -> dict[str, list[Away]]:
    rows = ModelStatusChange.objects.filter(organisation=None, at__gte=start).order_by("at", "id")
    changes: dict[str, list[tuple[datetime, str, str]]] = defaultdict(list)
    for slug, at, before, after in rows.values_list("model__slug", "at", "before", "after"):
        changes[f"model:{slug}"].append((at, before, after))
    found: dict[str, list[Away]] = defaultdict(list)
    return found | {subject: list(spells(own, start)) for subject, own in changes.items()}


def _history(
    subject: str, first: date, now: datetime, counted: dict[tuple[str, date], CheckDay], away: list[Away]
) -> History:
    days = (first + timedelta(days=number) for number in range(SHOWN_DAYS))
    return History(tuple(_day(day, counted.get((subject, day)), away, now) for day in days))


def _day(day: date, row: CheckDay | None, away: list[Away], now: datetime) -> Day:
    checks, failed = (row.checks, row.failed) if row else (0, 0)
    down_s, maintenance_s = (_seconds_on(day, away, kind, now) for kind in (DOWN, ModelStatus.MAINTENANCE))
    state = day_state(checks=checks, failed=failed, down_s=down_s, maintenance_s=maintenance_s)
    return Day(day, state, checks, failed, down_s, maintenance_s)


def _seconds_on(day: date, away: list[Away], kind: str, now: datetime) -> int:
    if not away:
        return 0
    begins, ends = _midnight(day), _midnight(day + timedelta(days=1))
    spans = ((max(spell.start, begins), min(spell.end or now, ends)) for spell in away if spell.kind == kind)
    return sum(int((end - start).total_seconds()) for start, end in spans if end > start)


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
