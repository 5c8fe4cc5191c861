"""The status page's content: how everything is now, and beside it how each of its lines did over 90 days."""

from dataclasses import dataclass

from django.db import DatabaseError
from django.utils import timezone

from voice.models import CatalogueModel, Incident
from voice.status.history import History, histories
from voice.status.kept import Kept, NothingYet
from voice.status.models_now import ModelNow
from voice.status.now import StatusNow, status_now
from voice.status.parts import PartNow, parts_here

_HISTORY_KEPT_S = 60.0
_NO_HISTORY = History(())


@dataclass(frozen=True, slots=True)
class Line:
    """One part or model with its days."""

    now: PartNow | ModelNow
    history: History


@dataclass(frozen=True, slots=True)
class Board:
    status: StatusNow
    parts: tuple[Line, ...]
    models: tuple[Line, ...]

    @property
    def past(self) -> list[Incident]:
        """Incidents that are over."""
        moment = self.status.checked_at
        return [each for each in self.status.incidents if each.ended_at is not None and each.ended_at <= moment]

    @property
    def announced(self) -> list[Incident]:
        """Incidents that have not begun, the next one first."""
        moment = self.status.checked_at
        return [each for each in reversed(self.status.incidents) if each.started_at > moment]


def board() -> Board:
    """Return the whole board; what the database does not tell now is missing."""
    status = status_now()
    if not status.has_records:
        return Board(status, tuple(Line(part, _NO_HISTORY) for part in status.parts), ())
    try:
        days = _histories.get()
    except (DatabaseError, NothingYet):
        days = {}
    return Board(
        status,
        tuple(Line(part, days.get(f"component:{part.part.key}", _NO_HISTORY)) for part in status.parts),
        tuple(Line(model, days.get(f"model:{model.slug}", _NO_HISTORY)) for model in status.models),
    )


def forget() -> None:
    _histories.forget()


def _all_histories() -> dict[str, History]:
    slugs = CatalogueModel.objects.values_list("slug", flat=True)
    return histories([part.key for part in parts_here()], slugs, timezone.now())


_histories = Kept(_all_histories, _HISTORY_KEPT_S)
