"""The parts of this installation that are neither models nor pages, and a short look at each."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import redis
from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.utils import timezone

from billing.health import events_in_trouble
from outbox.status import backlogs
from voice.models import ComponentBeat
from voice.status.states import State

# Two looks that wait for it end before whoever waits for them gives up (kept.py).
PROBE_TIMEOUT_S = 1
# A worker says every half minute that it lives; one that is started together with this process has as long to come up.
SILENT_AFTER = timedelta(minutes=2)
_LATE_S, _VERY_LATE_S = 300, 3600
# When this process began, or nearly so.
_began_at = timezone.now()


@dataclass(frozen=True, slots=True)
class Part:
    """What customers call a part, and what it is to them."""

    key: str
    name: str
    about: str


@dataclass(frozen=True, slots=True)
class PartNow:
    """`detail` is for the operator only; `since` when it was last well, where that is known."""

    part: Part
    state: State
    detail: str = ""
    since: datetime | None = None


WEB = Part("web", "Pages, console and API", "What you open and what your own code asks.")
DATABASE = Part("database", "Accounts and records", "Agents, calls, credits. Without them no call can start.")
CACHE = Part("cache", "Starting calls", "Counts calls against their limits before they start.")
CHANNELS = Part("channels", "Steering live calls", "Hanging up and pausing from the console take effect at once.")
WORKER = Part("worker", "Work after calls", "Notes, webhooks, mails, top-ups. What is late is done later, not lost.")
QUEUE = Part("queue", "Deliveries on time", "Whether notes, webhooks and mails leave within minutes.")
PAYMENTS = Part("payments", "Payments", "Buying credits, and credits arriving once they are paid.")


def parts_here() -> list[Part]:
    """Return the parts that this installation has, in the order in which they are shown."""
    return [WEB, DATABASE, CACHE, CHANNELS, WORKER, QUEUE, *([PAYMENTS] if settings.PAYMENTS != "off" else [])]


def look_at_services() -> list[PartNow]:
    """Ask the database, the cache and the channel layer whether they answer; never raises."""
    return [_asked(DATABASE, _ask_database), _asked(CACHE, _ask_cache), _asked(CHANNELS, _ask_channels)]


def cache_answers() -> bool:
    """Say whether the cache keeps what it is given; bounded in time."""
    return _asked(CACHE, _ask_cache).state == State.OPERATIONAL


def look_at_work(now: datetime) -> list[PartNow]:
    """Read how far behind the work off the request is. Raises DatabaseError."""
    return [_queue(now), *([_payments(now)] if settings.PAYMENTS != "off" else [])]


def worker_now(now: datetime) -> PartNow:
    """Return whether a worker was heard of lately. Raises DatabaseError."""
    beat = ComponentBeat.objects.filter(name=WORKER.key).first()
    if beat is not None and now - beat.seen_at <= SILENT_AFTER:
        return PartNow(WORKER, State.OPERATIONAL, beat.detail)
    if now - _began_at <= SILENT_AFTER:
        return PartNow(WORKER, State.STARTING, "Not heard of since this web process began.")
    if beat is None:
        return PartNow(WORKER, State.OUTAGE, "Never heard of: is a worker with a schedule running?")
    return PartNow(WORKER, State.OUTAGE, "Not heard of since then: is it running?", beat.seen_at)


def _asked(part: Part, ask: Callable[[], None]) -> PartNow:
    try:
        ask()
    except Exception as error:
        # The boundary to whichever database, cache and broker there are, each with errors of its own: that one is away
        # is what is asked for. Only the error's name: its text may hold an address or a password.
        return PartNow(part, State.OUTAGE, type(error).__name__)
    return PartNow(part, State.OPERATIONAL)


def _ask_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _ask_cache() -> None:
    if settings.REDIS_URL:
        # Of its own: the cache's connections wait without end for one that went away without a word.
        with _redis() as client:
            client.ping()
    cache.set("status:probe", "here", 30)
    if cache.get("status:probe") != "here":
        raise LookupError


def _ask_channels() -> None:
    # In memory it is as well as this process.
    if settings.REDIS_URL:
        with _redis() as client:
            client.publish("parley:status:probe", b"")


def _redis() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=PROBE_TIMEOUT_S, socket_connect_timeout=PROBE_TIMEOUT_S
    )


def _queue(now: datetime) -> PartNow:
    found = backlogs(now)
    late_s = max((backlog.late_s for backlog in found), default=0)
    given_up = sum(backlog.given_up for backlog in found)
    detail = f"The oldest has waited for {late_s} s. Given up so far: {given_up}."
    if late_s < _LATE_S:
        return PartNow(QUEUE, State.OPERATIONAL, detail)
    return PartNow(
        QUEUE, State.OUTAGE if late_s >= _VERY_LATE_S else State.DEGRADED, detail, now - timedelta(seconds=late_s)
    )


def _payments(now: datetime) -> PartNow:
    waiting = events_in_trouble(now)
    if not waiting:
        return PartNow(PAYMENTS, State.OPERATIONAL)
    return PartNow(PAYMENTS, State.DEGRADED, f"{waiting} events of Stripe's have not been acted upon.")


def database_answers(parts: list[PartNow]) -> bool:
    return all(part.state != State.OUTAGE for part in parts if part.part is DATABASE)
