"""The public status page: how everything is now, over 90 days, and what is promised of it."""

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from voice.models.catalogue import ModelKind
from voice.status.board import Line, board
from voice.status.history import SHOWN_DAYS, History
from voice.status.models_now import ModelNow
from voice.status.now import KEPT_S, StatusNow
from voice.status.parts import PartNow
from voice.status.states import DayState, State

_BAR, _STEP, HEIGHT = 4, 5, 32
# What needs to be seen stands out by its height, too: colour is not all that tells them apart.
_HEIGHTS = {DayState.UNKNOWN: 6, DayState.OPERATIONAL: 22, DayState.MAINTENANCE: 22}
_HEADLINES = {
    State.OPERATIONAL: "Everything works",
    State.MAINTENANCE: "Part of this is under maintenance",
    State.DEGRADED: "Something does not work as it should",
    State.OUTAGE: "Calls cannot be made",
}
_LABELS = {
    State.STARTING: "Starting",
    State.OPERATIONAL: "Works",
    State.MAINTENANCE: "Maintenance",
    State.DEGRADED: "Trouble",
    State.OUTAGE: "Down",
}
_KINDS = {
    ModelKind.REALTIME: "Speaks with callers",
    ModelKind.CHAT: "Text: notes and typed chat",
    ModelKind.TRANSCRIPTION: "Writes down what is said",
    ModelKind.SPEECH: "Reads text aloud",
}


@dataclass(frozen=True, slots=True)
class Bars:
    """The days of one line: an SVG path for each state that occurs, and what a reader who cannot see them is told."""

    paths: list[tuple[str, str]]
    label: str
    width: int = SHOWN_DAYS * _STEP - (_STEP - _BAR)
    height: int = HEIGHT


@dataclass(frozen=True, slots=True)
class Row:
    """One line as it is shown. `model` is None for a part."""

    name: str
    about: str
    state: State
    label: str
    history: History
    bars: Bars
    model: ModelNow | None


@require_safe
def status(request: HttpRequest) -> HttpResponse:
    """Show the status to anybody; 503 and one sentence while there is no database to read it from."""
    found = board()
    if not found.status.has_records:
        return _away(request)
    context = {
        "status": found.status,
        "headline": headline(found.status),
        "models": [row_of(line) for line in found.models],
        "parts": [row_of(line) for line in found.parts],
        "going_on": found.status.going_on,
        "announced": found.announced,
        "past": found.past,
        "shown_days": SHOWN_DAYS,
        "zone": timezone.get_current_timezone_name(),
    }
    response = render(request, "voice/status.html", context)
    response["Cache-Control"] = f"public, max-age={KEPT_S:.0f}"
    return response


def _away(request: HttpRequest) -> HttpResponse:
    response = render(request, "voice/status_away.html", status=503)
    response["Cache-Control"] = "no-store"
    response["Retry-After"] = "30"
    return response


def headline(found: StatusNow) -> str:
    """Return the state of the whole in a few words."""
    if found.is_paused and found.overall == State.MAINTENANCE:
        return "Calls are paused"
    if found.overall != State.OUTAGE and not found.has_voice:
        return "Voice calls are not possible at the moment"
    return _HEADLINES[found.overall]


def row_of(line: Line) -> Row:
    now, bars = line.now, bars_of(line.history)
    if isinstance(now, PartNow):
        return Row(now.part.name, now.part.about, now.state, _LABELS[now.state], line.history, bars, None)
    return Row(now.name, _KINDS[ModelKind(now.kind)], now.state, _LABELS[now.state], line.history, bars, now)


def bars_of(history: History) -> Bars:
    """Draw a history, a bar a day."""
    drawn: dict[DayState, list[str]] = {}
    for number, day in enumerate(history.days):
        height = _HEIGHTS.get(day.state, HEIGHT)
        path = f"M{number * _STEP} {HEIGHT - height}h{_BAR}v{height}h-{_BAR}z"
        drawn.setdefault(day.state, []).append(path)
    return Bars([(state.value, "".join(paths)) for state, paths in drawn.items()], _in_words(history))


def _in_words(history: History) -> str:
    troubled = len(history.troubled)
    unknown = sum(day.state == DayState.UNKNOWN for day in history.days)
    calm = len(history.days) - troubled - unknown
    return f"Of {len(history.days)} days: {calm} without trouble, {troubled} with, {unknown} on which nobody looked."
