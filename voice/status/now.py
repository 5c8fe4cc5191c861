"""How this installation is doing at this moment: one answer for everybody who asks within five seconds."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import DatabaseError
from django.utils import timezone

from voice.models import Incident, Switches
from voice.status.incidents import is_going_on, public_incidents
from voice.status.kept import Kept, NothingYet
from voice.status.models_now import ModelNow, ModelsNow, models_now
from voice.status.parts import (
    DATABASE,
    WEB,
    PartNow,
    database_answers,
    look_at_services,
    look_at_work,
    parts_here,
    worker_now,
)
from voice.status.states import Facts, State, overall

KEPT_S = 5.0
NOTHING = ModelsNow((), has_voice=False, has_text=False, is_planned=False)


@dataclass(frozen=True, slots=True)
class StatusNow:
    """Without a database only parts are known. `since`: the longest that anything now wrong is known to have been."""

    overall: State
    checked_at: datetime
    parts: tuple[PartNow, ...]
    models: tuple[ModelNow, ...] = ()
    incidents: tuple[Incident, ...] = ()
    is_paused: bool = False
    has_voice: bool = True
    has_text: bool = True
    since: datetime | None = None

    @property
    def has_records(self) -> bool:
        return database_answers(list(self.parts))

    @property
    def going_on(self) -> list[Incident]:
        return [incident for incident in self.incidents if is_going_on(incident, self.checked_at)]


def look() -> StatusNow:
    """Look at everything now; never raises for a part that is away."""
    now, services = timezone.now(), look_at_services()
    if not database_answers(services):
        return _without_records(now, services)
    try:
        return _with_records(now, services)
    except DatabaseError as error:
        # It went away between two questions.
        return _without_records(now, [PartNow(DATABASE, State.OUTAGE, type(error).__name__), *services[1:]])


def status_now() -> StatusNow:
    """Return how everything is doing, at most five seconds old; bounded in time whatever is away."""
    try:
        return _kept.get()
    except NothingYet:
        return _without_records(timezone.now(), [PartNow(DATABASE, State.OUTAGE, "It does not answer.")])


def forget() -> None:
    """Make the next look a new one, for whoever has just changed something."""
    _kept.forget()


def _with_records(now: datetime, services: list[PartNow]) -> StatusNow:
    found = models_now()
    incidents = tuple(public_incidents(now))
    going_on = [incident for incident in incidents if is_going_on(incident, now)]
    parts = _in_order([PartNow(WEB, State.OPERATIONAL), *services, worker_now(now), *look_at_work(now)])
    is_paused = Switches.objects.filter(pk=1, calls_paused=True).exists()
    facts = Facts(
        parts={part.part.key: part.state for part in parts},
        models=[model.state for model in found.models],
        has_voice=found.has_voice,
        has_text=found.has_text,
        is_planned=found.is_planned,
        is_paused=is_paused,
        has_incident=bool(going_on),
    )
    return StatusNow(
        overall(facts),
        now,
        parts,
        found.models,
        incidents,
        is_paused,
        found.has_voice,
        found.has_text,
        _since(parts, found.models, going_on),
    )


def _without_records(now: datetime, services: list[PartNow]) -> StatusNow:
    parts = _in_order([PartNow(WEB, State.OPERATIONAL), *services])
    return StatusNow(State.OUTAGE, now, parts, has_voice=False, has_text=False)


def _in_order(found: list[PartNow]) -> tuple[PartNow, ...]:
    by_part = {part.part: part for part in found}
    return tuple(by_part[part] for part in parts_here() if part in by_part)


def _since(parts: Iterable[PartNow], models: Iterable[ModelNow], going_on: Iterable[Incident]) -> datetime | None:
    moments = [incident.started_at for incident in going_on]
    moments += [part.since for part in parts if part.since and part.state != State.OPERATIONAL]
    moments += [model.since for model in models if model.since and model.state != State.OPERATIONAL]
    return min(moments, default=None)


_kept = Kept(look, KEPT_S)
