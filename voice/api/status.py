"""GET status: how everything is, for monitors and other people's pages."""

from datetime import date, datetime
from typing import Any, Literal, cast

from django.http import HttpRequest, HttpResponse
from ninja import Router
from pydantic import BaseModel, Field

from voice.api.answers import answers
from voice.models import Incident
from voice.status.board import Line, board
from voice.status.history import History
from voice.status.models_now import ModelNow
from voice.status.now import KEPT_S
from voice.status.parts import PartNow

router = Router(tags=["Status"])

Now = Literal["operational", "maintenance", "degraded", "outage"]


class StatusDay(BaseModel):
    day: date
    status: Now | Literal["unknown"] = Field(description="unknown: nobody looked.")
    checks: int
    failed: int


class StatusEntry(BaseModel):
    id: str
    name: str
    status: Now | Literal["starting"] = Field(description="starting: not heard of yet, and not yet missed.")
    checks: int = Field(description="Of the days below.")
    failed: int
    days: list[StatusDay] = Field(description="90 days, the oldest first; none while our records are away.")


class StatusModelEntry(StatusEntry):
    kind: Literal["realtime", "transcription", "chat", "speech"]
    since: datetime | None = Field(description="Since when it is not operational.")
    status_note: str
    expected_back_at: datetime | None
    served_by: str | None = Field(description="What answers instead; null when nothing does or nothing has to.")


class IncidentEntry(BaseModel):
    id: int
    title: str
    body: str
    model: str | None
    started_at: datetime
    ended_at: datetime | None = Field(description="null: going on, or announced.")


class SystemStatus(BaseModel):
    status: Now
    since: datetime | None
    checked_at: datetime
    calls_paused: bool
    voice: bool = Field(description="Whether a call by voice can be had.")
    text: bool = Field(description="Whether a conversation can be had by typing.")
    components: list[StatusEntry]
    models: list[StatusModelEntry]
    incidents: list[IncidentEntry] = Field(description="Announced, going on, and those of 90 days; the latest first.")


@router.get(
    "api/v1/status",
    url_name="public_status",
    operation_id="get_status",
    summary="How everything is now, and was over 90 days",
    auth=None,
    response=answers({200: SystemStatus}),
)
def get_status(request: HttpRequest, response: HttpResponse) -> SystemStatus:
    """One word for the whole, then every part, model and public incident. Needs no key; any page may ask."""
    found = board()
    response["Access-Control-Allow-Origin"] = "*"
    response["Cache-Control"] = f"public, max-age={KEPT_S:.0f}"
    status = found.status
    return SystemStatus(
        # Of a part alone it is said that it is on its way up.
        status=cast(Now, status.overall.value),
        since=status.since,
        checked_at=status.checked_at,
        calls_paused=status.is_paused,
        voice=status.has_voice and not status.is_paused,
        text=status.has_text and not status.is_paused,
        components=[_part(line) for line in found.parts],
        models=[_model(line) for line in found.models],
        incidents=[_incident(incident) for incident in status.incidents],
    )


def _part(line: Line) -> StatusEntry:
    now = cast(PartNow, line.now)
    return StatusEntry(id=now.part.key, name=now.part.name, status=now.state.value, **_days(line.history))


def _model(line: Line) -> StatusModelEntry:
    now = cast(ModelNow, line.now)
    return StatusModelEntry(
        id=now.slug,
        name=now.name,
        kind=cast(Any, now.kind),
        status=now.state.value,
        since=now.since,
        status_note=now.note,
        expected_back_at=now.back_at,
        served_by=now.served_slug or None,
        **_days(line.history),
    )


def _incident(incident: Incident) -> IncidentEntry:
    return IncidentEntry(
        id=incident.pk,
        title=incident.title,
        body=incident.body,
        model=incident.model.slug if incident.model else None,
        started_at=incident.started_at,
        ended_at=incident.ended_at,
    )


def _days(history: History) -> dict[str, Any]:
    days = [
        StatusDay(day=day.day, status=day.state.value, checks=day.checks, failed=day.failed) for day in history.days
    ]
    return {"checks": history.checks, "failed": history.failed, "days": days}
