"""What the schedule does about calls whose process has died, done at once and by two workers."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from django.db import connections
from django.utils import timezone

from voice.metering.sweep import settle_dead_sessions


def sweep_twice_at_once() -> int:
    """Two workers meet over the same dead calls, some minutes later; return how many calls they closed together."""
    later = timezone.now() + timedelta(minutes=5)

    def sweep(_: int) -> int:
        try:
            return settle_dead_sessions(later)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as workers:
        return sum(workers.map(sweep, range(2)))
