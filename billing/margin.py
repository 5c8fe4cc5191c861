"""What usage brought in against what its providers charge for it, told by the apps that know the usage."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Sum

from billing.models import Draw, EntryKind, LotKind


@dataclass(frozen=True, slots=True)
class Margin:
    """One model's usage in micro-credits: charged, not charged for want of credits, and the providers' list price."""

    model: str
    charged_micro: int
    uncollected_micro: int
    cost_micro: int

    @property
    def margin_micro(self) -> int:
        return self.charged_micro - self.cost_micro

    @property
    def percent(self) -> int | None:
        """Share of what was charged; None when nothing was."""
        return self.margin_micro * 100 // self.charged_micro if self.charged_micro else None


Source = Callable[[datetime], Iterable[Margin]]
_sources: list[Source] = []


def register(source: Source) -> Source:
    """Ask `source(since)` for the margins of everything used since then; usable as a decorator."""
    if source not in _sources:
        _sources.append(source)
    return source


def margins_since(since: datetime) -> list[Margin]:
    """Return one row a model, the one that charged most first. Reads all usage since then: work for a worker."""
    by_model: dict[str, list[Margin]] = {}
    for source in _sources:
        for row in source(since):
            by_model.setdefault(row.model, []).append(row)
    return sorted((total(model, rows) for model, rows in by_model.items()), key=lambda row: -row.charged_micro)


def total(name: str, rows: Iterable[Margin]) -> Margin:
    """Add rows up under another name."""
    kept = list(rows)
    return Margin(
        name,
        sum(row.charged_micro for row in kept),
        sum(row.uncollected_micro for row in kept),
        sum(row.cost_micro for row in kept),
    )


def spent_since(since: datetime) -> dict[str, int]:
    """Return what settled usage took of each kind of lot, `granted` and `purchased`: only the latter was paid for."""
    draws = Draw.objects.filter(entry__kind=EntryKind.USAGE, entry__created_at__gte=since)
    found = draws.order_by().values_list("lot__kind").annotate(total_micro=Sum("amount_micro"))
    return {kind.value: 0 for kind in LotKind} | dict(found)
