"""The worker's beat: every half minute it says that it lives, and writes down what it finds of every other part."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta

import httpx
import structlog
from django.conf import settings
from django.db import DatabaseError, transaction
from django.utils import timezone

from voice.catalogue.check_days import count_checks
from voice.models import CheckDay, ComponentBeat
from voice.status.parts import SILENT_AFTER, WEB, WORKER, database_answers, look_at_services, look_at_work
from voice.status.states import State

log = structlog.get_logger(__name__)

BEAT_S = 30
# A day's rows of the status page are shown for 90 days, and kept for a year to be compared with.
KEPT_DAYS = 365
_KNOCK_TIMEOUT_S = 5.0
# One worker alone beats; of several whose schedules run at once, the first counts.
_TOO_SOON = timedelta(seconds=BEAT_S / 2)
_MOST_UNWRITTEN = 500

_unwritten: Counter[tuple[str, date]] = Counter()
_lock = threading.Lock()

Knock = Callable[[], bool]


def front_door_answers() -> bool:
    """Say whether the pages answer at the address that customers have."""
    try:
        answer = httpx.get(
            f"{settings.PUBLIC_URL}/healthz", timeout=_KNOCK_TIMEOUT_S, verify=settings.HTTPS, trust_env=False
        )
    except (httpx.HTTPError, httpx.InvalidURL):
        return False
    return answer.status_code < 500


def record_beat(now: datetime, knock: Knock = front_door_answers) -> None:
    """Write down that a worker lives and how it finds the other parts; what cannot be written now is, later."""
    services = look_at_services()
    found = {part.part.key: part.state for part in services}
    day = timezone.localdate(now)
    try:
        if not database_answers(services):
            raise DatabaseError
        _write(now, day, found, knock)
    except DatabaseError:
        log.warning("a beat could not be written")
        _keep_for_later(day, found)


def forget_old_checks(now: datetime) -> None:
    """Remove the days that nobody looks back to."""
    CheckDay.objects.filter(day__lt=timezone.localdate(now) - timedelta(days=KEPT_DAYS)).delete()


def _write(now: datetime, day: date, found: dict[str, State], knock: Knock) -> None:
    found |= {part.part.key: part.state for part in look_at_work(now)}
    # Outside the transaction: it takes as long as the door lets one stand.
    is_open = knock()
    with transaction.atomic():
        last = ComponentBeat.objects.select_for_update().filter(name=WORKER.key).first()
        if last is not None and now - last.seen_at < _TOO_SOON:
            return
        ComponentBeat.objects.update_or_create(name=WORKER.key, defaults={"seen_at": now, "is_well": True})
        if last is not None:
            _count_silence(last.seen_at, now)
        if (is_reachable := _note_front_door(now, is_open=is_open)) is not None:
            found[WEB.key] = State.OPERATIONAL if is_reachable else State.OUTAGE
        found[WORKER.key] = State.OPERATIONAL
        for key, state in found.items():
            count_checks(_subject(key), day, failed=int(state != State.OPERATIONAL))
    _write_what_was_kept()


def _note_front_door(now: datetime, *, is_open: bool) -> bool | None:
    """Return whether the door is open; None where it has never been seen so: perhaps no worker can see it at all."""
    if is_open:
        ComponentBeat.objects.update_or_create(
            name=WEB.key, defaults={"seen_at": now, "is_well": True, "detail": "Answers at PUBLIC_URL."}
        )
        return True
    known = ComponentBeat.objects.filter(name=WEB.key)
    return False if known.update(is_well=False, detail="Does not answer at PUBLIC_URL.") else None


def _count_silence(since: datetime, now: datetime) -> None:
    """Count the beats that were missed as failed, on the days on which they were missed."""
    if now - since <= SILENT_AFTER:
        return
    start = max(since, now - timedelta(days=KEPT_DAYS))
    while start < now:
        day = timezone.localdate(start)
        end = min(now, timezone.localtime(start).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1))
        missed = int((end - start).total_seconds()) // BEAT_S
        if missed:
            count_checks(_subject(WORKER.key), day, checks=missed, failed=missed)
        start = max(end, start + timedelta(seconds=1))


def _keep_for_later(day: date, found: Mapping[str, State]) -> None:
    with _lock:
        for key, state in found.items():
            if state != State.OPERATIONAL and len(_unwritten) < _MOST_UNWRITTEN:
                _unwritten[key, day] += 1


def _write_what_was_kept() -> None:
    with _lock:
        kept = dict(_unwritten)
        _unwritten.clear()
    for (key, day), failed in kept.items():
        count_checks(_subject(key), day, checks=failed, failed=failed)


def _subject(part_key: str) -> str:
    return f"component:{part_key}"
